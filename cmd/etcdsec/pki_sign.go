package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

func newPKISignCommand(a *app) *cobra.Command {
	var o issueOptions
	var remote remoteOptions
	cmd := &cobra.Command{
		Use:   "sign DIR NAME FOLDER|FILE",
		Short: "Sign the certificate requests of a node",
		Long: `Sign the certificate requests (CSRs) that "etcdsec pki csr" made for NAME, a member, a
client or one leaf, into the store in DIR. The requests are a folder of .csr files, or the
one file of a leaf.

A request gives its public key and the proof that its maker has the private one. Subject,
names, key usages and lifetime come from the spec. One that asks for anything else is
refused: another subject, names that are not the member's, to be a CA; so is a weak key,
and one that another certificate has or had.

The bundle that is to go back to the node, without any key, is then in DIR: copy it and
install it there with "etcdsec pki install".

With --remote a site's own "cfssl serve" signs in place of the keys in DIR, by its profiles
server, client and peer, with the HMAC key in --remote-key. DIR must have that CA's
certificate as the authority (etcdsec pki import authority), and what comes back is taken
only if it is what the spec wants and verifies below it.

Reads DIR, the requests, and the spec: DIR/cluster.yaml, or the one given with -f. Writes
DIR only. Uses no network but for --remote.`,
		Example: `  etcdsec pki sign ./store etcd-0 ./etcd-0/ --dry-run
  etcdsec pki sign ./store etcd-0 ./etcd-0/
  etcdsec pki sign ./store backup ./client.csr
  etcdsec pki sign ./store etcd-0 ./etcd-0/ --remote https://ca.example:8888 --remote-key ./auth.hex`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.signRequests(cmd.Context(), o, remote, given[0], given[1], given[2])
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&remote.url, "remote", "", "`URL` of a cfssl server that signs")
	cmd.Flags().StringVar(&remote.keyPath, "remote-key", "", "`path` of its auth key, in hexadecimal")
	cmd.Flags().StringVar(&remote.caPath, "remote-cacert", "", "`path` of the roots that verify its https (default: the system's)")
	return cmd
}

func (a *app) signRequests(ctx context.Context, o issueOptions, r remoteOptions, dir, name, from string) error {
	var err error
	if o.spec, err = storeSpec(o.spec, dir); err != nil {
		return err
	}
	c, err := cluster.Load(o.spec)
	if err != nil {
		return usageError(err, "")
	}
	bundle, leaves, ok := pki.NewPlan(c).Find(name)
	if !ok {
		return usageError(fmt.Errorf("the spec has no member, client or leaf %q", name), "")
	}
	requests, err := readRequests(leaves, from)
	if err != nil {
		return failure(err, "")
	}
	remote, err := r.open()
	if err != nil {
		return usageError(err, "")
	}
	after := func(_ *cluster.Cluster, r *issueResult) {
		folder := filepath.Join(dir, filepath.FromSlash(bundle.Path))
		r.Next = append(r.Next,
			fmt.Sprintf("copy %s to the node of %s", folder, name),
			fmt.Sprintf("there: etcdsec pki install -f cluster.yaml %s FOLDER %s --keys KEYS", name, installTarget(c, bundle)))
	}
	return a.sign(ctx, o, dir, signing{renewal: pki.Renewal{Requests: requests}, remote: remote, after: after})
}

// remoteOptions name a cfssl server.
type remoteOptions struct{ url, keyPath, caPath string }

// open reads the auth key out of a file that nobody else can read: it signs certificates.
func (r remoteOptions) open() (*pki.Remote, error) {
	if r.url == "" {
		if r.keyPath+r.caPath != "" {
			return nil, errors.New("--remote-key and --remote-cacert go with --remote")
		}
		return nil, nil
	}
	if r.keyPath == "" {
		return nil, errors.New("--remote wants --remote-key, the file of the server's auth key")
	}
	key, err := pki.ReadSecret(r.keyPath)
	if err != nil {
		return nil, err
	}
	var roots *x509.CertPool
	if r.caPath != "" {
		certs, err := pki.ReadCertificates(r.caPath)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		for _, c := range certs {
			roots.AddCert(c)
		}
	}
	remote, err := pki.NewRemote(r.url, key, roots)
	if err != nil {
		return nil, fmt.Errorf("--remote: %w", err)
	}
	return remote, nil
}

// readRequests reads and checks the CSRs for some leaves out of a folder or one file.
func readRequests(leaves []pki.Leaf, from string) (map[string]*x509.CertificateRequest, error) {
	const mostBytes = 64 << 10
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	switch {
	case info.IsDir():
		if files, err = pki.Requests(from, leaves); err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no request: want %s", from, pki.RequestFile(leaves[0]))
		}
	case len(leaves) > 1:
		return nil, fmt.Errorf("%s is one file, and there are %d certificates: name one, such as %s, or give the folder", from, len(leaves), leaves[0].Name)
	default:
		files[leaves[0].Name] = from
	}
	requests := map[string]*x509.CertificateRequest{}
	var faults []error
	for _, l := range leaves {
		file := files[l.Name]
		if file == "" {
			continue
		}
		data, err := durable.ReadFile(file, mostBytes)
		if err == nil {
			requests[l.Name], err = pki.ParseRequest(data)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("reading the request %s: %w", file, err))
		}
	}
	return requests, errors.Join(faults...)
}

// installTarget is where a bundle's holder reads it.
func installTarget(c *cluster.Cluster, b pki.Bundle) string {
	for _, m := range c.Etcd.Members {
		if b.Path == "nodes/"+m.Name+"/pki" {
			return c.Etcd.PKIDir(m)
		}
	}
	return "TARGET"
}
