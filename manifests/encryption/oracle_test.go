package encryption

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

// What test/encryptionconfig is asked, and what it answers.
type (
	request struct {
		Config []byte  `json:"config"`
		Store  []entry `json:"store,omitempty"`
		Read   []entry `json:"read,omitempty"`
	}
	entry struct {
		Resource string `json:"resource"`
		Key      string `json:"key"`
		Value    []byte `json:"value"`
	}
	answer struct {
		Loads       bool   `json:"loads"`
		LoadsReload bool   `json:"loads_reload"`
		KMSv1       bool   `json:"kms_v1"`
		KMSv1Reload bool   `json:"kms_v1_reload"`
		Error       string `json:"error"`
		Hash        string `json:"hash"`
		Stored      []struct {
			Value []byte `json:"value"`
			Error string `json:"error"`
		} `json:"stored"`
		Read []struct {
			Value []byte `json:"value"`
			Stale bool   `json:"stale"`
			Error string `json:"error"`
		} `json:"read"`
	}
)

// ask has kube-apiserver's own code load the configurations.
func ask(t *testing.T, requests ...request) []answer {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "encryptionconfig", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var in, out bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, r := range requests {
		if err := encoder.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var answers []answer
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(requests) {
		t.Fatalf("%d answers to %d requests", len(answers), len(requests))
	}
	return answers
}
