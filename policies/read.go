package policies

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Stdin stands for standard input among the names of files.
const Stdin = "stdin"

// Reader reads the files that a command line names. Each is at most kube.MaxSize bytes.
type Reader struct {
	Files *input.Files
}

// NamedFile is a file, and the node or member that was named with it.
type NamedFile struct {
	Node string // empty if none was named
	Name string // Stdin in place of "-"
	Data []byte
}

// Open reads "[NODE=]FILE", where "-" is standard input. A file whose own name has that form
// is the file.
func (r *Reader) Open(given string) (NamedFile, error) {
	node, path, ok := strings.Cut(given, "=")
	if _, err := os.Stat(given); err == nil || errors.Is(err, fs.ErrPermission) || !ok || strings.Contains(node, "/") {
		node, path = "", given
	}
	data, err := r.read(path)
	if path == "-" {
		path = Stdin
	}
	return NamedFile{node, path, data}, err
}

// EmptyFileError means that a file, or standard input, is empty: what should have written it failed.
type EmptyFileError struct{ File string }

func (e *EmptyFileError) Error() string {
	if e.File == "-" {
		return "standard input is empty: the command before the pipe wrote nothing"
	}
	return e.File + ": the file is empty"
}

// read reads a file, or standard input for "-", without the mark that some programs write first.
func (r *Reader) read(path string) ([]byte, error) {
	data, err := r.Files.Read(path, kube.MaxSize)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte(kube.BOM))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &EmptyFileError{path}
	}
	return data, nil
}

// ReadFilters reads the filters of several files.
func (r *Reader) ReadFilters(given []string) (Filters, error) {
	var filters Filters
	for _, g := range given {
		f, err := r.Open(g)
		if err != nil {
			return filters, fmt.Errorf("reading a policy: %w", err)
		}
		if err := filters.Read(f.Node, f.Name, f.Data); err != nil {
			return filters, err
		}
	}
	return filters, filters.Complete()
}

// EmptyTopologyError means that a file was given for its nodes, namespaces and Pods, and has none.
type EmptyTopologyError struct{ File string }

func (e *EmptyTopologyError) Error() string {
	return fmt.Sprintf("reading a topology: %s has neither nodes, Pods nor namespaces", e.File)
}

// ReadTopology returns the nodes, namespaces and Pods of the objects that were judged, and of
// further files. A file without any is an EmptyTopologyError.
func (r *Reader) ReadTopology(judged kube.Objects, paths []string) (kube.Objects, error) {
	where := kube.Objects{Nodes: judged.Nodes, Pods: judged.Pods, Namespaces: judged.Namespaces}
	for _, path := range paths {
		data, err := r.read(path)
		if err != nil {
			return where, fmt.Errorf("reading a topology: %w", err)
		}
		o, err := kube.Decode(path, data)
		if err != nil {
			return where, err
		}
		if len(o.Nodes)+len(o.Pods)+len(o.Namespaces) == 0 {
			return where, &EmptyTopologyError{path}
		}
		where.Add(kube.Objects{Nodes: o.Nodes, Pods: o.Pods, Namespaces: o.Namespaces})
	}
	return where, nil
}

// RenderFilters renders every backend of the spec, and returns the filters as read back from the
// rendered files. The error is a Refusal if a backend cannot enforce the intent.
func RenderFilters(i *Intent, o RenderOptions) (Filters, error) {
	var filters Filters
	for _, name := range i.Backends {
		r, err := Render(i, name, o)
		if err == nil {
			err = filters.Join(r)
		}
		if err != nil {
			return filters, err
		}
	}
	return filters, nil
}
