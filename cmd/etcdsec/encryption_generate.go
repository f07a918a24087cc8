package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
	"github.com/etcdsec/etcdsec/pki"
)

// encryptionGenerateFlags are what the operator wrote.
type encryptionGenerateFlags struct {
	spec   string
	output string
	dryRun bool
}

func newEncryptionGenerateCommand(a *app) *cobra.Command {
	var flags encryptionGenerateFlags
	cmd := &cobra.Command{
		Use:   "generate -f cluster.yaml DIR",
		Short: "Make an EncryptionConfiguration with a new key",
		Long: `Make the EncryptionConfiguration of spec.encryption in DIR/kubernetes, with one random key
of 32 bytes, named by the day and by its SHA-256; and what kubeadm has to be told so that
kube-apiserver uses it. The flags of kube-apiserver are printed.

  provider   secretbox (default), kms with a socket, aesgcm or aescbc
  resources  such as secrets, deployments.apps, "*.apps", "*." (the core group) or "*.*"
  exclude    what a wildcard covers and is to stay in plaintext
  phase      encrypted (default): nothing is stored in plaintext, as in a new cluster, and none
             is read. enabling: plaintext is stored still, and is read. disabling: plaintext is
             written, and what was encrypted is read.

A key that is there is never replaced: run again, it brings resources and phase up to the
spec and refuses what would leave stored values unreadable. Losing the file is losing the
data: keep a copy apart from the backups of etcd.

Reads the spec, of DIR unless -f is given, and DIR; writes DIR/kubernetes only, every file
with mode 0600; uses no network. Keys are never printed.`,
		Example: `  etcdsec encryption generate -f cluster.yaml ./store --dry-run
  etcdsec encryption generate -f cluster.yaml ./store
  etcdsec encryption generate ./store -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.generateEncryption(flags, given[0])
		},
	}
	specFlag(cmd, &flags.spec)
	outputFlag(cmd, &flags.output, "text", "json")
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "print what would be done and write nothing")
	return cmd
}

// The files of encryption generate, in the store.
const (
	encryptionConfigFile = pki.KubernetesDir + "/encryption-config.yaml"
	kubeadmEncryption    = pki.KubernetesDir + "/kubeadm-encryption.yaml"
)

// encryptionGenerated is the JSON of encryption generate. Fields are only ever added.
type encryptionGenerated struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"`
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []step `json:"steps"`
	// Writes is what new values are encrypted with; of a key that is not made yet, its provider alone.
	Writes string `json:"writes"`
	// Hash is how kube-apiserver names the file in its metric apiserver_encryption_config_controller_last_config_info.
	Hash  string   `json:"hash,omitempty"`
	Path  string   `json:"path"`  // on the hosts of the API servers
	Flags []string `json:"flags"` // of kube-apiserver
}

func (a *app) generateEncryption(flags encryptionGenerateFlags, dir string) error {
	var err error
	if flags.spec, err = storeSpec(flags.spec, dir); err != nil {
		return err
	}
	c, err := a.loadSpec(flags.spec)
	if err != nil {
		return err
	}
	open := pki.OpenStore
	if flags.dryRun {
		open = pki.PeekStore
	}
	store, err := open(dir, c)
	if err != nil {
		return a.storeError(dir, err)
	}
	defer store.Close()

	if rotation.UnderWay(filepath.Join(dir, pki.KubernetesDir)) {
		return failure(errors.New("a rotation of the key is under way, and the file is its own until it has ended"), "etcdsec encryption rotate "+dir+" --kubeconfig admin.conf")
	}
	text, configuration, action, err := a.nextEncryption(c, filepath.Join(dir, filepath.FromSlash(encryptionConfigFile)))
	if err != nil {
		return err
	}
	setup, err := encryption.NewSetup(c)
	if err != nil {
		return failure(err, "")
	}
	result := encryptionGenerated{
		SchemaVersion: 1, Dir: dir, Cluster: c.Name, DryRun: flags.dryRun,
		Path: setup.Path, Flags: setup.Flags, Hash: encryption.Hash(text), Writes: writesWith(configuration),
	}
	if action == "write" && flags.dryRun {
		result.Writes, result.Hash = c.Encryption.Provider, "" // the key is made by the run that writes it
	}
	result.Steps = append(result.Steps, step{Action: action, Path: encryptionConfigFile, Detail: result.Writes + " for " + strings.Join(c.Encryption.Resources, ", ")})
	kubeadm, err := plannedWrite(dir, kubeadmEncryption, setup.Kubeadm)
	if err != nil {
		return failure(err, "")
	}
	result.Steps = append(result.Steps, kubeadm)
	if !flags.dryRun {
		for i, data := range [][]byte{text, setup.Kubeadm} {
			if result.Steps[i].Action == "keep" {
				continue
			}
			if err := durable.WriteBelow(dir, result.Steps[i].Path, 0o600, data); err != nil {
				return failure(err, "")
			}
		}
	}
	a.warnOfEncryption(c)
	return a.printEncryptionGenerated(flags.output, c, result)
}

// nextEncryption is the configuration in a file brought up to the spec, or a new one, with its
// text and with what that means for the file: write, update or keep.
func (a *app) nextEncryption(c *cluster.Cluster, path string) (text []byte, next *encryption.Configuration, action string, err error) {
	current, err := durable.ReadFile(path, encryption.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		action = "write"
		var key encryption.Key
		if c.Encryption.Provider != string(encryption.KMS) {
			if key, err = encryption.GenerateKey(rand.Reader, a.now()); err != nil {
				return nil, nil, "", failure(err, "")
			}
		}
		next = encryption.Generate(c, key)
	case err != nil:
		return nil, nil, "", failure(err, "")
	default:
		action = "update"
		there, err := encryption.Parse(path, current, encryption.Server{Reload: true})
		if err != nil {
			return nil, nil, "", failure(fmt.Errorf("%s is there and never overwritten, and kube-apiserver would refuse it:\n%w", path, err), "")
		}
		if next, err = there.Update(c); err != nil {
			return nil, nil, "", failure(fmt.Errorf("%s is kept as it is: %w", path, err), "etcdsec encryption lint "+path)
		}
		if next.Equal(there) {
			return current, there, "keep", nil
		}
	}
	text, err = next.Render("Written by etcdsec. It holds keys: mode 0600, and a copy apart from the backups of etcd.")
	if err != nil {
		return nil, nil, "", failure(err, "")
	}
	return text, next, action, nil
}

// writesWith names what encrypts new values.
func writesWith(c *encryption.Configuration) string {
	var names []string
	for _, w := range c.Writers() {
		provider, _, _ := strings.Cut(string(w.Provider), " ") // without the version of a KMS
		if w.Key != "" {
			provider += " " + strings.ReplaceAll(encryption.Shown(w.Key), `"`, "")
		}
		names = append(names, provider)
	}
	return strings.Join(names, ", ")
}

// plannedWrite says what becomes of a file that holds no key.
func plannedWrite(dir, name string, data []byte) (step, error) {
	there, err := durable.ReadFile(filepath.Join(dir, filepath.FromSlash(name)), 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return step{Action: "write", Path: name}, nil
	case err != nil:
		return step{}, err
	case string(there) == string(data):
		return step{Action: "keep", Path: name}, nil
	}
	return step{Action: "update", Path: name}, nil
}

// warnOfEncryption says what a choice costs.
func (a *app) warnOfEncryption(c *cluster.Cluster) {
	if cost := encryption.ProviderType(c.Encryption.Provider).Cost(); cost != "" {
		a.narrate("warning: %s", cost)
	}
	switch cluster.Phase(c.Encryption.Phase) {
	case cluster.Encrypted:
		a.narrate("phase encrypted: plaintext that is stored cannot be read; for a cluster that has some: spec.encryption.phase: enabling")
	case cluster.Enabling:
		a.narrate("phase enabling: plaintext is read, also what somebody else puts into etcd; when all is rewritten: spec.encryption.phase: encrypted")
	case cluster.Disabling:
		a.narrate("warning: phase disabling: new values are stored in plaintext")
	}
	if socket := strings.TrimPrefix(c.Encryption.Socket, "unix://"); socket != "" {
		if _, err := os.Stat(socket); err != nil {
			a.narrate("warning: the socket %s is not on this host; without a KMS plugin behind it on theirs, API servers can read and write nothing that it encrypts", socket)
		}
	}
}

func (a *app) printEncryptionGenerated(format string, c *cluster.Cluster, r encryptionGenerated) error {
	if format == "json" {
		return a.printJSON(r)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, s := range r.Steps {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", s.Action, s.Path, s.Detail) // the writer remembers its error
	}
	_ = w.Flush()
	if r.DryRun {
		a.narrate("dry run: nothing was written")
	}
	_, _ = fmt.Fprintf(a.stdout, "\nFlags of every kube-apiserver, whose Pod mounts the folder %s:\n", path.Dir(r.Path))
	for _, flag := range r.Flags {
		_, _ = fmt.Fprintf(a.stdout, "  %s\n", flag)
	}
	_, _ = fmt.Fprint(a.stdout, "\nThe file comes first, to every API server:\n")
	hosts := make([]string, 0, len(c.APIServers))
	for _, h := range c.APIServers {
		hosts = append(hosts, h.Addresses[0].String())
	}
	if len(hosts) == 0 {
		hosts = []string{"API_SERVER"}
	}
	for _, h := range hosts {
		_, _ = fmt.Fprintf(a.stdout, "  ssh root@%s install -d -m 0700 %s\n  rsync %s root@%s:%s/\n", h, path.Dir(r.Path), filepath.Join(r.Dir, filepath.FromSlash(encryptionConfigFile)), scpHost(h), path.Dir(r.Path))
	}
	return nil
}

// scpHost is an address as rsync and scp take it before a colon.
func scpHost(h string) string {
	if strings.Contains(h, ":") {
		return "[" + h + "]"
	}
	return h
}

// step is one file of the result.
type step struct {
	Action string `json:"action"` // write, update, keep
	Name   string `json:"name"`
	Path   string `json:"path"` // in DIR
	Detail string `json:"detail,omitempty"`
}
