// GET / answers "Hello, World!" with Gin; everything else is 404.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

var body = []byte("Hello, World!")

// draining is set by SIGTERM: from then on every reply says "Connection: close", so that clients leave before the
// listener does. http.Server.SetKeepAlivesEnabled(false) would also cut idle connections at once, which can meet a
// request half way.
var draining atomic.Bool

func hello(c *gin.Context) {
	// Data takes the type as it is; String would append "; charset=utf-8".
	c.Data(http.StatusOK, "text/plain", body)
}

func closeWhileDraining(c *gin.Context) {
	if draining.Load() {
		c.Header("Connection", "close")
	}
}

func routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	// New, not Default: Default writes a line for every request. Recovery is what every service keeps.
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(gin.Recovery(), closeWhileDraining)
	engine.GET("/", hello)
	engine.HEAD("/", hello) // net/http leaves the body out; Gin does not route HEAD to GET by itself
	return engine
}

func number(name string, fallback int) int {
	text, given := os.LookupEnv(name)
	if !given {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 0 {
		log.Fatalf("%s must be a whole number, not %q", name, text)
	}
	return value
}

func main() {
	// Without WORKERS the runtime takes the container's CPU limit (Go 1.25), but never less than 2 threads.
	if workers := number("WORKERS", 0); workers > 0 {
		runtime.GOMAXPROCS(workers)
	}
	drain := time.Duration(number("DRAIN_SECONDS", 3)) * time.Second

	// Gin's own Run has neither timeouts nor a shutdown; its documentation recommends this for production.
	server := &http.Server{
		Addr:              fmt.Sprintf(":%d", number("PORT", 8080)),
		Handler:           routes(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
	}

	// As process 1 a signal without a handler is ignored, so both are taken before the port opens.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		received := <-signals
		draining.Store(true)
		if received == syscall.SIGTERM {
			time.Sleep(drain)
		}
		if err := server.Shutdown(context.Background()); err != nil {
			log.Fatalf("shutdown: %v", err)
		}
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("cannot listen: %v", err)
	}
	<-stopped // ListenAndServe returns when the listener closes; Shutdown, when the requests in flight are answered
}
