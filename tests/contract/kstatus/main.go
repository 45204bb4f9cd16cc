// Reads a JSON list of objects and prints kstatus's verdict on each: what `helm install --wait`, Flux and kpt go by.
package main

import (
	"encoding/json"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	var bodies []unstructured.Unstructured // its own decoder keeps generations whole numbers
	if err := json.NewDecoder(os.Stdin).Decode(&bodies); err != nil {
		log.Fatalf("no JSON list of objects on standard input: %v", err)
	}
	verdicts := make([]verdict, 0, len(bodies))
	for i := range bodies {
		found, err := status.Compute(&bodies[i])
		if err != nil {
			log.Fatalf("kstatus refuses an object: %v", err)
		}
		verdicts = append(verdicts, verdict{found.Status.String(), found.Message})
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		log.Fatal(err)
	}
}
