package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// deliverer brings a file to an API server: to a file of this machine, or by the spec's program.
func (a *app) deliverer(install []string, c *cluster.Cluster, servers []rotation.Server) (func(context.Context, rotation.Server, string) error, error) {
	local := map[string]string{}
	for _, written := range install {
		name, path, found := strings.Cut(written, "=")
		known := slices.ContainsFunc(servers, func(s rotation.Server) bool { return s.Name == name })
		if !found || path == "" || !known {
			return nil, usageError(fmt.Errorf("--install %q: want NAME=FILE with the name of an API server", written), "--install cp-0=/etc/kubernetes/encryption/encryption-config.yaml")
		}
		local[name] = path
	}
	return func(ctx context.Context, s rotation.Server, file string) error {
		if path := local[s.Name]; path != "" {
			data, err := durable.ReadFile(file, encryption.MaxSize)
			if err != nil {
				return err
			}
			return durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: 0o600, Data: data}, nil)
		}
		if len(c.Encryption.Push) == 0 {
			return fmt.Errorf("nothing says how a file comes there: set spec.encryption.push or --install %s=FILE, or copy %s there, in one rename, and run this again", s.Name, file)
		}
		host, _, _ := net.SplitHostPort(s.Client.Host())
		argv, err := cluster.Expand(c.Encryption.Push, struct{ File, Address, Name string }{file, host, s.Name})
		if err != nil {
			return err
		}
		a.narrate("running %s", strings.Join(argv, " "))
		return runProgram(ctx, argv)
	}, nil
}

// runProgram runs a program of the operator's to its end. What it says is in the error.
func runProgram(ctx context.Context, argv []string) error {
	const most, patience = 2 << 10, time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var said bytes.Buffer
	program := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator names it; no shell sees it
	program.Stdout, program.Stderr = &boundedWriter{&said, most}, &boundedWriter{&said, most}
	program.WaitDelay = time.Second
	if err := program.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// boundedWriter keeps the first bytes, and takes the others as if it kept them.
type boundedWriter struct {
	kept *bytes.Buffer
	most int
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if room := w.most - w.kept.Len(); room > 0 {
		w.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
