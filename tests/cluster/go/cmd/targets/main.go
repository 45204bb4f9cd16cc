// Command targets tells Prometheus what to scrape: Debian's Prometheus is built without discovery in Kubernetes.
//
// It answers Prometheus's HTTP discovery from a fresh list of nodes or pods, keeps nothing, and uses the standard library
// only, so it adds seconds to the first build where a Prometheus from source would add minutes.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	account    = "/var/run/secrets/kubernetes.io/serviceaccount/"
	api        = "https://kubernetes.default.svc"
	listen     = "127.0.0.1:9091" // Prometheus is in the same pod; nobody else asks
	kubelet    = "10250"
	annotation = "prometheus.io/"
)

// group is one element of Prometheus's HTTP discovery format.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

type object struct {
	Metadata struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec   struct{ NodeName string }
	Status struct {
		PodIP     string
		Addresses []struct{ Type, Address string }
	}
}

type lister struct{ client *http.Client }

func main() {
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	list := lister{&http.Client{Transport: transport, Timeout: 4 * time.Second}}
	http.HandleFunc("/nodes", list.serve("/api/v1/nodes", nodeGroups))
	http.HandleFunc("/pods", list.serve("/api/v1/pods?fieldSelector="+url.QueryEscape("status.phase=Running"), podGroups))
	log.Fatal(http.ListenAndServe(listen, nil))
}

// serve answers with the groups of a fresh list; an error makes Prometheus keep the targets it has.
func (l lister) serve(path string, groups func([]object) []group) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		objects, err := l.list(path)
		if err != nil {
			log.Print(err)
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(groups(objects))
	}
}

func (l lister) list(path string) ([]object, error) {
	token, err := os.ReadFile(account + "token") // read each time: it is renewed every hour
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodGet, api+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	reply, err := l.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, reply.Status)
	}
	var found struct{ Items []object }
	err = json.NewDecoder(reply.Body).Decode(&found)
	return found.Items, err
}

func nodeGroups(nodes []object) []group {
	groups := []group{}
	for _, node := range nodes {
		for _, address := range node.Status.Addresses {
			if address.Type == "InternalIP" {
				labels := map[string]string{"node": node.Metadata.Name, "role": node.Metadata.Labels["changeover.dev/role"]}
				groups = append(groups, group{[]string{address.Address + ":" + kubelet}, labels})
			}
		}
	}
	return groups
}

func podGroups(pods []object) []group {
	groups := []group{}
	for _, pod := range pods {
		wishes := pod.Metadata.Annotations
		port := wishes[annotation+"port"]
		if wishes[annotation+"scrape"] != "true" || port == "" || pod.Status.PodIP == "" {
			continue
		}
		labels := map[string]string{
			"namespace": pod.Metadata.Namespace, "pod": pod.Metadata.Name, "node": pod.Spec.NodeName,
		}
		if path := wishes[annotation+"path"]; path != "" {
			labels["__metrics_path__"] = path
		}
		groups = append(groups, group{[]string{pod.Status.PodIP + ":" + port}, labels})
	}
	return groups
}
