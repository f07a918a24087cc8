package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/nft"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// policyFiles takes filters out of files of every kind that prove knows.
type policyFiles struct {
	stdin   io.Reader // nil if it is used up
	intent  *policies.Intent
	filters reach.Filters
	judged  []string
}

func (f *policyFiles) read(given []string) error {
	for _, g := range given {
		node, path := splitNode(g)
		data, err := f.bytes(path)
		if err != nil {
			return failure(fmt.Errorf("reading a policy: %w", err), "")
		}
		if path == "-" {
			path = "stdin"
		}
		if err := f.take(node, path, data); err != nil {
			return failure(err, "")
		}
		f.judged = append(f.judged, g)
	}
	return nil
}

// splitNode takes a node's name from before a file's. A file of such a name is the file.
func splitNode(given string) (node, path string) {
	if _, err := os.Stat(given); err == nil {
		return "", given
	}
	if node, path, ok := strings.Cut(given, "="); ok && !strings.Contains(node, "/") {
		return node, path
	}
	return "", given
}

func (f *policyFiles) bytes(path string) ([]byte, error) {
	if path != "-" {
		return durable.ReadFile(path, kube.MaxSize)
	}
	if f.stdin == nil {
		return nil, errors.New("standard input can be read only once")
	}
	data, err := io.ReadAll(io.LimitReader(f.stdin, kube.MaxSize+1))
	f.stdin = nil
	if err == nil && len(data) > kube.MaxSize {
		err = fmt.Errorf("standard input: larger than %d bytes", kube.MaxSize)
	}
	return data, err
}

// take adds what a file has, which its content shows, or of units its name.
func (f *policyFiles) take(node, path string, data []byte) error {
	switch {
	case isRuleset(data):
		rules, err := nft.Parse(data)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if node != "" {
			f.filters.NodeRules = append(f.filters.NodeRules, reach.NodeRules{Node: node, Rules: rules})
			return nil
		}
		if f.filters.Rules != nil {
			return fmt.Errorf("%s is a second ruleset of every node; say of which each is: NODE=%s", path, path)
		}
		f.filters.Rules = rules
	case isUnit(path, data):
		unit, err := reach.ParseDropIn(path, data)
		if err != nil {
			return err
		}
		unit.Member = node
		if unit.Unit = filepath.Base(path); unit.Unit == "stdin" {
			unit.Unit = ""
		}
		f.filters.Units = append(f.filters.Units, unit)
	case node != "":
		return fmt.Errorf("%s is neither a ruleset as JSON nor a unit, and what is of a whole cluster is not of %s", path, node)
	default:
		o, err := kube.Decode(path, data)
		if err != nil {
			return err
		}
		f.filters.Objects.Add(o)
	}
	return nil
}

// isRuleset says whether data is what nft -j prints.
func isRuleset(data []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(data[:min(len(data), 256)]), []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimSpace(rest), []byte(`"nftables"`))
}

func isUnit(path string, data []byte) bool {
	switch filepath.Ext(path) {
	case ".conf", ".service":
		return true
	}
	return bytes.HasPrefix(data, []byte("[Service]")) || bytes.Contains(data, []byte("\n[Service]"))
}

// topology is where everything runs: by the files that were judged, and those given for it alone.
func (f *policyFiles) topology(paths []string) (kube.Objects, error) {
	where := kube.Objects{Nodes: f.filters.Objects.Nodes, Pods: f.filters.Objects.Pods, Namespaces: f.filters.Objects.Namespaces}
	for _, path := range paths {
		data, err := f.bytes(path)
		if err != nil {
			return where, failure(fmt.Errorf("reading a topology: %w", err), "")
		}
		o, err := kube.Decode(path, data)
		if err != nil {
			return where, failure(err, "")
		}
		if len(o.Nodes)+len(o.Pods)+len(o.Namespaces) == 0 {
			return where, failure(fmt.Errorf("reading a topology: %s has neither nodes, Pods nor namespaces", path),
				"kubectl get nodes,namespaces,pods -A -o json > topology.json")
		}
		where.Add(kube.Objects{Nodes: o.Nodes, Pods: o.Pods, Namespaces: o.Namespaces})
	}
	return where, nil
}
