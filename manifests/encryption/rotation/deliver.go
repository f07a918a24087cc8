package rotation

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/etcdsec/etcdsec/internal/delivery"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Delivery copies a configuration to where an API server reads it.
type Delivery struct {
	// Local holds the files on this machine that servers read, by the name of the server.
	Local map[string]string
	// Push is the spec's argument vector for all other servers, with {{.File}}, {{.Address}}
	// and {{.Name}}; empty if there is none.
	Push []string
	// Supervisor is the command line that runs what Push names, as of a delivery.Command.
	Supervisor []string
	Narrate    func(format string, args ...any)
}

// Deliver replaces the configuration of one server with file. The error names the server.
func (d Delivery) Deliver(ctx context.Context, s Server, file string) error {
	if path := d.Local[s.Name]; path != "" {
		data, err := durable.ReadFile(file, encryption.MaxSize)
		if err == nil {
			err = durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: secretMode, Data: data}, nil)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		return nil
	}
	if len(d.Push) == 0 {
		return fmt.Errorf("%s: there is no way to deliver the file: set spec.encryption.push or --install %[1]s=FILE, or copy %[2]s there with one rename, and run this again", s.Name, file)
	}
	host, _, err := net.SplitHostPort(s.Client.Host())
	if err != nil {
		return err
	}
	return delivery.Command{Argv: d.Push, Supervisor: d.Supervisor, Narrate: d.Narrate}.Run(ctx, s.Name, map[string]string{"File": file, "Address": host, "Name": s.Name})
}
