package cluster

import (
	"fmt"
	"io"

	"github.com/etcdsec/etcdsec/internal/input"
)

// maxSpecSize is far above the size of any spec (nine members and twenty clients need about 4 KiB),
// and small enough to read a wrong file without harm.
const maxSpecSize = 1 << 20

// Load reads, decodes and validates the spec in a regular file. The error joins every fault.
func Load(path string) (*Cluster, error) {
	f, _, err := input.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster spec: %w", err)
	}
	defer f.Close()
	return Read(path, f)
}

// Read loads a spec from a stream. name is its name in the faults.
func Read(name string, r io.Reader) (*Cluster, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSpecSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the cluster spec: %w", err)
	}
	if len(data) > maxSpecSize {
		return nil, &Fault{File: name, Problem: "larger than 1 MiB; this is not a cluster spec"}
	}
	config, err := Decode(name, data)
	if err != nil {
		return nil, err
	}
	c, err := New(config)
	if err != nil {
		return nil, err
	}
	c.YAML = data
	return c, nil
}
