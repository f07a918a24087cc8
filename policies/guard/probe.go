package guard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Probe is something that answered before a change and has to answer after it.
type Probe struct {
	Name    string // "etcd-1 peer port"
	Address string // host:port
	Kind    ProbeKind
}

// ProbeKind decides what counts as an answer.
type ProbeKind string

// The kinds of probes. None of them presents a certificate or checks the server's: the only
// question is whether packets arrive.
const (
	// AnswersTLS accepts any byte in answer to a ClientHello, even an alert.
	AnswersTLS ProbeKind = "tls"
	// Healthy accepts status 200 of /health over plain HTTP: etcd has a leader and a quorum.
	Healthy ProbeKind = "health"
)

// probePatience bounds each probe. A packet that is dropped is sent again after one second.
const probePatience = 2 * time.Second

// Ask runs all probes in parallel and returns an error for each, nil if it answers.
func Ask(ctx context.Context, probes []Probe) []error {
	faults := make([]error, len(probes))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i, p := range probes {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, probePatience)
			defer cancel()
			if p.Kind == Healthy {
				faults[i] = healthy(ctx, p.Address)
				return
			}
			faults[i] = answersTLS(ctx, p.Address)
		})
	}
	wg.Wait()
	return faults
}

func answersTLS(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	heard := &hearing{Conn: conn}
	//nolint:gosec // whether it answers is the question, not who it is; nothing is sent to it
	err = tls.Client(heard, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	if err != nil && !heard.any {
		return fmt.Errorf("connected, but got no answer: %w", err)
	}
	return nil
}

// hearing is a connection that notes whether data arrived.
type hearing struct {
	net.Conn
	any bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.any = h.any || n > 0
	return n, err
}

func healthy(ctx context.Context, address string) error {
	// A proxy of the environment would answer for somebody else.
	client := http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d of /health", response.StatusCode)
	}
	return nil
}

func (p Probe) lost(err error) error {
	return fmt.Errorf("%s at %s answered before, but no longer does: %w", p.Name, p.Address, err)
}

// rounds is how many times in a row a probe has to fail before it counts: one lost packet or an
// election is not the fault of a rule.
const rounds = 3

// Stay repeats the probes until ctx ends, and returns an error when one of them has failed
// several times in a row.
func Stay(ctx context.Context, probes []Probe) error {
	failed := make([]int, len(probes))
	for {
		faults := Ask(ctx, probes)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it held as long as it was asked to
		}
		var lost []error
		for i, p := range probes {
			if faults[i] == nil {
				failed[i] = 0
				continue
			}
			if failed[i]++; failed[i] >= rounds {
				lost = append(lost, p.lost(faults[i]))
			}
		}
		if len(lost) > 0 {
			return errors.Join(lost...)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// Hold returns nil when each probe has answered, and an error if one fails several times in a
// row.
func Hold(ctx context.Context, probes []Probe) error {
	var lost []error
	for range rounds {
		lost = nil
		var again []Probe
		faults := Ask(ctx, probes)
		for i, p := range probes {
			if faults[i] != nil {
				again = append(again, p)
				lost = append(lost, p.lost(faults[i]))
			}
		}
		if probes = again; len(probes) == 0 {
			return nil
		}
	}
	return errors.Join(lost...)
}
