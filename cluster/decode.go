package cluster

import (
	"bytes"

	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// Fault is one error in a spec, with its file, line and field.
type Fault = strictyaml.Fault

// Decode reads one YAML document strictly. Unknown keys, duplicate keys, wrong types, anchors and a
// second document are faults. The error reports all of them, each as a [Fault]. file is only the name
// in the faults.
func Decode(file string, data []byte) (Config, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return Config{}, &Fault{File: file, Problem: "the file is empty; `etcdsec init` writes a spec to start from"}
	}
	config := Config{}
	source, err := strictyaml.Decode(file, data, &config)
	if err != nil {
		return Config{}, err
	}
	config.source = source
	return config, nil
}
