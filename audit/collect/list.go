package collect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	// maxEndpoints bounds one list. A larger fleet is audited in several runs.
	maxEndpoints = 100_000
	maxLine      = 1 << 10
	// maxListFaults bounds the faults that are reported: a file that is not a list has one on
	// each line.
	maxListFaults = 100
)

// ReadList reads endpoints, one on each line: the host:port or URL of a client port, or of
// another port with its kind in front, as in peer=10.0.0.11:2380. cluster=NAME may follow after
// white space. # begins a comment. The error joins every fault, each with its line; name is the
// list's name in the faults. A list has at most 100,000 endpoints.
func ReadList(name string, r io.Reader) ([]Endpoint, error) {
	l := list{name: name, lines: map[string]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		l.line++
		text := lines.Bytes()
		if l.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // the BOM of an editor
			if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
				return nil, fmt.Errorf("%s: it is UTF-16; save it as UTF-8", name)
			}
		}
		l.read(string(text))
		if len(l.endpoints) > maxEndpoints {
			return nil, fmt.Errorf("%s: more than %d endpoints; split the list", name, maxEndpoints)
		}
		if l.line > 2*maxEndpoints {
			return nil, fmt.Errorf("%s: more than %d lines; this is not a list of endpoints", name, 2*maxEndpoints)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		l.line++
		l.fault(fmt.Errorf("longer than %d bytes; this is not a list of endpoints", maxLine))
	case err != nil:
		return nil, fmt.Errorf("reading the endpoints: %w", err)
	}
	if l.faulty > maxListFaults {
		l.faults = append(l.faults, fmt.Errorf("%s: %d more lines have a fault", name, l.faulty-maxListFaults))
	}
	if err := errors.Join(l.faults...); err != nil {
		return nil, err
	}
	if len(l.endpoints) == 0 {
		return nil, fmt.Errorf("%s: has no endpoint", name)
	}
	return l.endpoints, nil
}

// list holds the endpoints that were read so far, and the faults of the lines.
type list struct {
	name      string
	line      int // the last, from 1
	endpoints []Endpoint
	lines     map[string]int // on which line each address is
	faults    []error
	faulty    int
}

func (l *list) fault(err error) {
	l.faulty++
	if l.faulty <= maxListFaults {
		l.faults = append(l.faults, fmt.Errorf("%s:%d: %w", l.name, l.line, err))
	}
}

func (l *list) read(text string) {
	words := strings.Fields(text)
	for i, word := range words {
		if strings.HasPrefix(word, "#") {
			words = words[:i]
			break
		}
	}
	if len(words) == 0 {
		return
	}
	e, err := parseEntry(words)
	if err == nil && l.lines[e.Address] > 0 {
		err = fmt.Errorf("%s is already on line %d", e.Address, l.lines[e.Address])
	}
	if err != nil {
		l.fault(err)
		return
	}
	l.lines[e.Address] = l.line
	l.endpoints = append(l.endpoints, e)
}

// listKinds returns the kinds that a list may name. An entry without a kind is a client port.
func listKinds() []audit.Kind {
	return append(audit.Listeners(), audit.APIServer, audit.Kubelet)
}

func parseEntry(words []string) (Endpoint, error) {
	e := Endpoint{Kind: audit.Client}
	written := words[0]
	if kind, after, found := strings.Cut(written, "="); found {
		written, e.Kind = after, ""
		var names []string
		for _, known := range listKinds() {
			names = append(names, string(known))
			if kind == string(known) {
				e.Kind = known
			}
		}
		if e.Kind == "" {
			return Endpoint{}, fmt.Errorf("want one of %s before the =", strings.Join(names, ", "))
		}
	}
	var err error
	if e.Address, err = ParseAddress(written); err != nil {
		if bad, ok := errors.AsType[*AddressError](err); ok {
			err = errors.New(bad.Problem) // what is no endpoint may be a password, in the wrong file
		}
		return Endpoint{}, err
	}
	for _, word := range words[1:] {
		name, found := strings.CutPrefix(word, "cluster=")
		switch {
		case !found || name == "":
			return Endpoint{}, errors.New("want only cluster=NAME after the endpoint; each endpoint needs its own line")
		case e.ClusterName != "":
			return Endpoint{}, errors.New("the cluster is given twice")
		case strings.ContainsFunc(name, isUnprintable):
			return Endpoint{}, errors.New("the name of the cluster has characters that cannot be shown")
		}
		e.ClusterName = name
	}
	return e, nil
}
