// Command encryptionconfig loads encryption configurations with the code of kube-apiserver, and
// stores and reads values with them. It reads one request from each line of standard input, and
// writes one answer to each line of standard output.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
)

// request has a configuration, the values to store with it, and those to read.
type request struct {
	Config []byte  `json:"config"`
	Store  []entry `json:"store"`
	Read   []entry `json:"read"`
}

// entry is a value and its key in etcd.
type entry struct {
	Resource string `json:"resource"` // such as secrets or deployments.apps
	Key      string `json:"key"`
	Value    []byte `json:"value"`
}

// answer reports whether kube-apiserver loads the configuration: with and without the feature gate
// KMSv1, and with and without automatic reload.
type answer struct {
	Loads       bool     `json:"loads"`
	LoadsReload bool     `json:"loads_reload"`
	KMSv1       bool     `json:"kms_v1"`
	KMSv1Reload bool     `json:"kms_v1_reload"`
	Error       string   `json:"error"` // of the first
	Hash        string   `json:"hash"`
	Stored      []stored `json:"stored"`
	Read        []read   `json:"read"`
}

type stored struct {
	Value []byte `json:"value"`
	Error string `json:"error"`
}

type read struct {
	Value []byte `json:"value"`
	Stale bool   `json:"stale"`
	Error string `json:"error"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "encryptionconfig:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := silenceKMS(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "encryptionconfig-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 {
			break
		}
		if err != nil {
			return err
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		a, err := respond(filepath.Join(dir, "config.yaml"), r)
		if err != nil {
			return err
		}
		if err := encoder.Encode(a); err != nil {
			return err
		}
	}
	return out.Flush()
}

// silenceKMS hides the log messages about missing KMS plugins.
func silenceKMS() error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(flags)
	klog.SetOutput(new(bytes.Buffer))
	return errors.Join(flags.Set("logtostderr", "false"), flags.Set("stderrthreshold", "FATAL"))
}

func respond(path string, r request) (answer, error) {
	var a answer
	if err := os.WriteFile(path, r.Config, 0o600); err != nil {
		return a, err
	}
	// Loading the configuration asks a KMS plugin for its status. It is not an error if the plugin
	// does not answer, and nobody waits for it here.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	gate := func(on bool) error {
		return utilfeature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{"KMSv1": on})
	}
	if err := gate(true); err != nil {
		return a, err
	}
	_, err := encryptionconfig.LoadEncryptionConfig(ctx, path, false, "apiserver")
	a.KMSv1 = err == nil
	_, err = encryptionconfig.LoadEncryptionConfig(ctx, path, true, "apiserver")
	a.KMSv1Reload = err == nil
	if err := gate(false); err != nil {
		return a, err
	}
	_, err = encryptionconfig.LoadEncryptionConfig(ctx, path, true, "apiserver")
	a.LoadsReload = err == nil
	loaded, err := encryptionconfig.LoadEncryptionConfig(ctx, path, false, "apiserver")
	if err != nil {
		a.Error = err.Error()
		return a, nil
	}
	a.Loads, a.Hash = true, loaded.EncryptionFileContentHash
	transformers := encryptionconfig.StaticTransformers(loaded.Transformers)
	for _, e := range r.Store {
		v, err := transformers.TransformerForResource(schema.ParseGroupResource(e.Resource)).
			TransformToStorage(context.Background(), e.Value, value.DefaultContext(e.Key))
		a.Stored = append(a.Stored, stored{v, text(err)})
	}
	for _, e := range r.Read {
		v, stale, err := transformers.TransformerForResource(schema.ParseGroupResource(e.Resource)).
			TransformFromStorage(context.Background(), e.Value, value.DefaultContext(e.Key))
		a.Read = append(a.Read, read{v, stale, text(err)})
	}
	return a, nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
