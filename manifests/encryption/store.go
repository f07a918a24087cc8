package encryption

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/layout"
)

// The files of a store, below the folder of what Kubernetes gets.
const (
	ConfigName        = "encryption-config.yaml"
	kubeadmConfigName = "kubeadm-encryption.yaml"
)

// Action tells what happens to a file.
type Action string

// The actions.
const (
	Write  Action = "write" // it is new
	Update Action = "update"
	Keep   Action = "keep" // it is as it should be
)

// Step is a file and what happens to it.
type Step struct {
	Action Action `json:"action"`
	Name   string `json:"name"` // always empty; the steps of other verbs have one
	Path   string `json:"path"` // in the store
	Detail string `json:"detail,omitempty"`

	data []byte
}

// Preparation holds what a store needs for the encryption of its spec, and the flags of the API
// servers. Fields of its JSON are only ever added.
type Preparation struct {
	SchemaVersion int    `json:"schema_version"`
	Dir           string `json:"dir"`
	Cluster       string `json:"cluster"`
	DryRun        bool   `json:"dry_run"`
	Steps         []Step `json:"steps"`
	// Writes names what encrypts new values; only the provider if the key is not made yet.
	Writes string `json:"writes"`
	// Hash is how kube-apiserver names the file in its metric apiserver_encryption_config_controller_last_config_info.
	Hash  string   `json:"hash,omitempty"`
	Path  string   `json:"path"`  // on the hosts of the API servers
	Flags []string `json:"flags"` // of kube-apiserver

	apiServers []string // their addresses
}

// KeptError means that the existing configuration cannot be changed to match the spec.
type KeptError struct {
	Path string
	Err  error
}

func (e *KeptError) Error() string { return fmt.Sprintf("%s is kept as it is: %v", e.Path, e.Err) }

// Unwrap returns why.
func (e *KeptError) Unwrap() error { return e.Err }

// Prepare changes the configuration in a folder of a store to match the spec, or makes one with a
// new key, and returns what Write will write. It writes nothing. The folder is dir/below. A
// preparation for a dry run does not name the new key.
func Prepare(c *cluster.Cluster, dir, below string, dryRun bool, random io.Reader, now time.Time) (Preparation, error) {
	setup, err := NewSetup(c)
	if err != nil {
		return Preparation{}, err
	}
	config, err := prepareConfiguration(c, filepath.Join(dir, filepath.FromSlash(below), ConfigName), random, now)
	if err != nil {
		return Preparation{}, err
	}
	p := Preparation{
		SchemaVersion: 1, Dir: dir, Cluster: c.Name, DryRun: dryRun,
		Path: setup.Path, Flags: setup.Flags, Hash: Hash(config.text), Writes: config.describeWriters(),
	}
	if config.action == Write && dryRun {
		p.Writes, p.Hash = c.Encryption.Provider, "" // the key is made by the run that writes it
	}
	for _, h := range c.APIServers {
		p.apiServers = append(p.apiServers, h.Addresses[0].String())
	}
	kubeadm := path.Join(below, kubeadmConfigName)
	action, err := actionFor(filepath.Join(dir, filepath.FromSlash(kubeadm)), setup.Kubeadm)
	if err != nil {
		return Preparation{}, err
	}
	p.Steps = []Step{
		{Action: config.action, Path: path.Join(below, ConfigName), Detail: p.Writes + " for " + strings.Join(c.Encryption.Resources, ", "), data: config.text},
		{Action: action, Path: kubeadm, data: setup.Kubeadm},
	}
	return p, nil
}

// Write writes what was prepared. Every file gets mode 0600.
func (p Preparation) Write() error {
	for _, s := range p.Steps {
		if s.Action == Keep {
			continue
		}
		if err := durable.WriteBelow(p.Dir, s.Path, 0o600, s.data); err != nil {
			return err
		}
	}
	return nil
}

// preparedConfiguration is a configuration for a spec, with its text and what happens to its file.
type preparedConfiguration struct {
	*Configuration
	text   []byte
	action Action
}

// prepareConfiguration changes the configuration in a file to match the spec, or makes a new one.
func prepareConfiguration(c *cluster.Cluster, file string, random io.Reader, now time.Time) (preparedConfiguration, error) {
	n := preparedConfiguration{action: Update}
	current, err := durable.ReadFile(file, MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		n.action = Write
		var key Key
		if c.Encryption.Provider != string(KMS) {
			if key, err = GenerateKey(random, now); err != nil {
				return n, err
			}
		}
		n.Configuration = Generate(c, key)
	case err != nil:
		return n, err
	default:
		there, err := Parse(file, current, Server{Reload: true})
		if err != nil {
			return n, fmt.Errorf("%s exists and is never overwritten, but kube-apiserver would refuse it:\n%w", file, err)
		}
		if n.Configuration, err = there.Update(c); err != nil {
			return n, &KeptError{Path: file, Err: err}
		}
		if n.Equal(there) {
			return preparedConfiguration{Configuration: there, text: current, action: Keep}, nil
		}
	}
	n.text, err = n.Render("Written by etcdsec. It holds keys: mode 0600, and a copy apart from the backups of etcd.")
	return n, err
}

// describeWriters names what encrypts new values, in the spelling of the file.
func (c *Configuration) describeWriters() string {
	var names []string
	for _, w := range c.Writers() {
		provider, _, _ := strings.Cut(string(w.Provider), " ") // without the version of a KMS
		if w.Key != "" {
			provider += " " + strings.ReplaceAll(ShowName(w.Key), `"`, "")
		}
		names = append(names, provider)
	}
	return strings.Join(names, ", ")
}

// actionFor compares a file that holds no key with what it should have.
func actionFor(file string, data []byte) (Action, error) {
	there, err := durable.ReadFile(file, 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Write, nil
	case err != nil:
		return "", err
	case string(there) == string(data):
		return Keep, nil
	}
	return Update, nil
}

// Warnings returns the drawbacks of the choices in a spec, and what the hosts of API servers need.
func Warnings(c *cluster.Cluster) []string {
	var all []string
	if cost := ProviderType(c.Encryption.Provider).Cost(); cost != "" {
		all = append(all, "warning: "+cost)
	}
	switch cluster.Phase(c.Encryption.Phase) {
	case cluster.Encrypted:
		all = append(all, "phase encrypted: stored plaintext cannot be read; if the cluster has some, set spec.encryption.phase: enabling")
	case cluster.Enabling:
		all = append(all, "phase enabling: plaintext is read, also what somebody else puts into etcd; when everything is rewritten, set spec.encryption.phase: encrypted")
	case cluster.Disabling:
		all = append(all, "warning: phase disabling: new values are stored in plaintext")
	}
	if socket := strings.TrimPrefix(c.Encryption.Socket, "unix://"); socket != "" {
		switch _, err := os.Stat(socket); {
		case errors.Is(err, fs.ErrPermission):
			all = append(all, fmt.Sprintf("warning: the socket %s cannot be looked for: %v", socket, err))
		case err != nil:
			all = append(all, fmt.Sprintf("warning: the socket %s is not on this host; on their hosts, API servers need a KMS plugin behind it to read and write what it encrypts", socket))
		}
	}
	return all
}

// WriteText writes the steps, and what is left to do at the API servers.
func (p Preparation) WriteText(w io.Writer) error {
	table := layout.NewTable(w)
	for _, s := range p.Steps {
		table.Row(s.Action, s.Path, s.Detail)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	mount := fmt.Sprintf("Mount the folder %s into the Pod of every kube-apiserver, and set these flags:", path.Dir(p.Path))
	b.WriteString("\n" + strings.Join(layout.Wrap(mount, layout.Width(w)), "\n") + "\n")
	for _, flag := range p.Flags {
		fmt.Fprintf(&b, "  %s\n", flag)
	}
	b.WriteString("\nBefore that, copy the file to every API server:\n")
	for _, line := range p.deliveryCommands() {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// deliveryCommands returns the commands that copy the configuration to every API server.
func (p Preparation) deliveryCommands() []string {
	file, folder := filepath.Join(p.Dir, filepath.FromSlash(p.Steps[0].Path)), path.Dir(p.Path)
	hosts := p.apiServers
	if len(hosts) == 0 {
		hosts = []string{"API_SERVER"}
	}
	var lines []string
	for _, host := range hosts {
		target := host
		if strings.Contains(host, ":") {
			target = "[" + host + "]" // as rsync takes it before a colon
		}
		lines = append(lines, fmt.Sprintf("ssh root@%s install -d -m 0700 %s", host, folder), fmt.Sprintf("rsync %s root@%s:%s/", file, target, folder))
	}
	return lines
}
