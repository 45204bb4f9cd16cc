// A backend with one fault, chosen by FAULT, so that a test can provoke each reason for which a run is void.
// Without a fault GET / answers "Hello, World!"; GET /ready is the readiness path and is never counted.
package main

import (
	"errors"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	errorEvery    = 10              // answers, of which the last is a 500
	slowness      = 2 * time.Second // of every answer: n connections get n/2 answers a second, whatever is asked
	closingPause  = 500 * time.Millisecond
	closingStep   = 10 * time.Millisecond
	closingSteps  = 100
	burstEvery    = time.Second
	burstLength   = 250 * time.Millisecond // of wall time: with 200m of CPU it is throttled in two or three periods
	lossAfter     = 6 * time.Second        // from the first request on: past a warm-up of 1 s, inside a window of 10 s
	lossAnswers   = 120                    // that close their connection: a third of 360
	coldPause     = 200 * time.Millisecond // before the first answer; a third of it after 9 s
	warmPause     = 10 * time.Millisecond
	warmingTime   = 8 * time.Second
	crashAfter    = 25 * time.Second       // from the first request on: what became ready and then fails
	lateness      = 160 * time.Millisecond // of answers that come too late
	lateOf        = 80                     // answers, of which one is late: 1.25 %, a budget of 1 % exceeded by a quarter
	toilPerAnswer = 6 * time.Millisecond   // of CPU
	firstLifeMark = "faulty-has-lived"
)

// An answer to GET /; requests are numbered from 1.
type answer func(w http.ResponseWriter, number int64)

func write(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, body) // an error here means that the client has left
}

func hello(w http.ResponseWriter, _ int64) { write(w, http.StatusOK, "Hello, World!") }

func wrongBody(w http.ResponseWriter, _ int64) { write(w, http.StatusOK, "Something else.") }

func everyTenthFails(w http.ResponseWriter, number int64) {
	if number%errorEvery == 0 {
		write(w, http.StatusInternalServerError, "broken")
		return
	}
	hello(w, number)
}

func allFail(w http.ResponseWriter, _ int64) { write(w, http.StatusInternalServerError, "broken") }

// crasher serves as it should and ends its process crashAfter the first request, in each of its lives.
type crasher struct{ once sync.Once }

func (c *crasher) answer(w http.ResponseWriter, number int64) {
	c.once.Do(func() { time.AfterFunc(crashAfter, func() { os.Exit(1) }) })
	hello(w, number)
}

func late(w http.ResponseWriter, number int64) {
	time.Sleep(lateness)
	hello(w, number)
}

// seldomLate is late with the chance of one in lateOf, drawn for each request: no pattern that a scrape could miss.
func seldomLate(w http.ResponseWriter, number int64) {
	if rand.IntN(lateOf) == 0 {
		time.Sleep(lateness)
	}
	hello(w, number)
}

// toil uses CPU time for every answer: as much of it on a machine that is busy with other things.
func toil(w http.ResponseWriter, number int64) {
	runtime.LockOSThread()
	for began := threadCPU(); threadCPU()-began < toilPerAnswer; {
	}
	runtime.UnlockOSThread()
	hello(w, number)
}

// threadCPU is the CPU time that the calling thread has used.
func threadCPU() time.Duration {
	const clockThreadCPUTime = 3 // CLOCK_THREAD_CPUTIME_ID
	var used syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPUTime, uintptr(unsafe.Pointer(&used)), 0)
	return time.Duration(used.Nano())
}

func burn(length time.Duration) {
	for began := time.Now(); time.Since(began) < length; {
	}
}

func slow(w http.ResponseWriter, number int64) {
	time.Sleep(slowness)
	hello(w, number)
}

// warmer answers faster the longer it is asked, as one does whose compiler or cache is still at work.
type warmer struct {
	once  sync.Once
	began time.Time
}

func (o *warmer) answer(w http.ResponseWriter, number int64) {
	o.once.Do(func() { o.began = time.Now() })
	cold := float64(coldPause) * math.Exp(-float64(time.Since(o.began))/float64(warmingTime))
	time.Sleep(max(warmPause, time.Duration(cold)))
	hello(w, number)
}

// closes ends every connection after one answer. The answers come after 0.5 to 1.5 s in turn, so that at any moment
// nearly all connections stand: their number is right, only that each was opened anew is wrong.
func closes(w http.ResponseWriter, number int64) {
	time.Sleep(closingPause + time.Duration(number%closingSteps)*closingStep)
	w.Header().Set("Connection", "close")
	hello(w, number)
}

// hangsUp closes the connection without an answer.
func hangsUp(http.ResponseWriter, int64) { panic(http.ErrAbortHandler) }

// loser serves as it should until lossAfter, then says goodbye on some connections and lets nobody in again. A closed
// listener would refuse, and a generator that is refused tries again at once, thousands of times: errors, not losses.
type loser struct {
	*net.TCPListener
	once     sync.Once
	full     atomic.Bool
	goodbyes atomic.Int64
}

func (l *loser) answer(w http.ResponseWriter, number int64) {
	l.once.Do(func() { time.AfterFunc(lossAfter, l.shutDoor) })
	if l.full.Load() && l.goodbyes.Add(1) <= lossAnswers {
		w.Header().Set("Connection", "close")
	}
	hello(w, number)
}

// shutDoor makes the listener's queue as short as it can be; once it is full, the kernel drops whoever knocks.
func (l *loser) shutDoor() {
	raw, err := l.SyscallConn()
	if err != nil {
		log.Fatalf("no way to the listener's socket: %v", err)
	}
	var refused error
	err = raw.Control(func(socket uintptr) { refused = syscall.Listen(int(socket), 0) })
	if err != nil || refused != nil {
		log.Fatalf("the listener's queue cannot be shortened: %v, %v", err, refused)
	}
	l.full.Store(true)
}

func (l *loser) Accept() (net.Conn, error) {
	connection, err := l.TCPListener.Accept()
	if l.full.Load() {
		select {} // whoever came is neither served nor refused, and so is nobody after it
	}
	return connection, err
}

// dieOnce ends the first process of a pod. Its second finds the mark, which outlives a container in an emptyDir.
func dieOnce() {
	mark, err := os.OpenFile(filepath.Join(os.TempDir(), firstLifeMark), os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return
	}
	if err != nil {
		log.Fatalf("the second life would not be known: %v", err)
	}
	_ = mark.Close()
	os.Exit(1)
}

func burnInBursts() {
	for range time.Tick(burstEvery) {
		burn(burstLength)
	}
}

func main() {
	// As process 1 a signal without a handler is ignored.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { <-signals; os.Exit(0) }()

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		log.Fatalf("cannot listen: %v", err)
	}
	door := &loser{TCPListener: listener.(*net.TCPListener)}
	reply, readiness := answer(hello), http.StatusOK
	switch fault := os.Getenv("FAULT"); fault {
	case "":
	case "errors":
		reply = everyTenthFails
	case "all-errors":
		reply = allFail
	case "crashes-later":
		reply = (&crasher{}).answer
	case "wrong-body":
		reply = wrongBody
	case "slow":
		reply = slow
	case "late":
		reply = late
	case "seldom-late":
		reply = seldomLate
	case "toils":
		reply = toil
	case "warms":
		reply = (&warmer{}).answer
	case "closes":
		reply = closes
	case "hangs-up":
		reply = hangsUp
	case "loses":
		reply = door.answer
	case "never-ready":
		readiness = http.StatusServiceUnavailable
	case "bursts":
		go burnInBursts()
	case "restarts":
		dieOnce()
	default:
		log.Fatalf("FAULT: %q is none that is known here", fault)
	}
	var requests atomic.Int64
	routes := http.NewServeMux()
	routes.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { write(w, readiness, "") })
	routes.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		number := requests.Add(1)
		if number == 1 {
			log.Print("first request") // its time is that of the log's line
		}
		reply(w, number)
	})
	log.Fatal((&http.Server{Handler: routes}).Serve(door))
}
