package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// auditHostFlags are the flags of an audit that looks at files and processes.
type auditHostFlags struct {
	host      bool
	root      string
	manifests []string
	settings  []string
}

func (flags *auditHostFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&flags.host, "host", false, "also audit the etcds of this host, in addition to the given endpoints")
	f.StringVar(&flags.root, "root", "", "`dir` where the host's root is mounted, such as /host in a container (default /)")
	f.StringArrayVar(&flags.manifests, "manifests", nil, "`dir` of static Pods on the host, in addition to the usual ones; may be repeated")
	f.StringArrayVar(&flags.settings, "settings", nil, "`file` to judge by itself: a Pod, a systemd service, etcd's configuration or environment file; may be repeated")
	_ = cmd.MarkFlagDirname("root") // only completion; fails for unknown flags
}

// wantsHost reports whether to audit this host: because a flag asks for it, or because the command
// line names nothing else.
func (flags auditRunFlags) wantsHost() bool {
	given := len(flags.endpoints) + len(flags.peers) + len(flags.metrics) + len(flags.hosts.settings)
	return flags.hosts.host || flags.hosts.root != "" || len(flags.hosts.manifests) > 0 || given == 0 && flags.spec+flags.targets+flags.kube.kubeconfig == ""
}

// hostAudit holds what an audit gets from files and processes.
type hostAudit struct {
	collect.HostAudit
	found *host.Host // nil if the host is not audited
}

// observer returns the name of the audited host, or else of this one; empty if it is unknown.
func (h *hostAudit) observer() string {
	if h.found != nil && h.found.Name != host.UnknownName {
		return h.found.Name
	}
	return observerName()
}

// observerName returns the name of this host; empty if it is unknown.
func observerName() string {
	name, _ := os.Hostname() // without one, targets have only their addresses
	return name
}

// collectHost reads the files of --settings and, if wanted, finds the etcds of this host. It
// returns the given endpoints, with the host's settings for those that the host has, and after
// them the other endpoints of the host.
func (a *app) collectHost(ctx context.Context, flags auditRunFlags, given []collect.Endpoint, now time.Time) (*hostAudit, error) {
	h := &hostAudit{HostAudit: collect.HostAudit{Endpoints: given}}
	for _, path := range flags.hosts.settings {
		if _, err := os.Stat(path); err != nil {
			return nil, failure(err, "")
		}
		found, err := host.ReadFile(path)
		if err != nil {
			return nil, failure(err, "")
		}
		for _, s := range found {
			h.Settings = append(h.Settings, &audit.HostSettings{Address: s.Origin, Now: now, Settings: s})
		}
	}
	if !flags.wantsHost() {
		return h, nil
	}
	found, err := host.Find(ctx, host.Config{Root: flags.hosts.root, Manifests: flags.hosts.manifests})
	if err != nil {
		return nil, usageError(err, "")
	}
	h.found = found
	for _, f := range found.Faults {
		a.narrate("warning: %s: %s", f.Subject, f.Reason)
	}
	for _, u := range found.Unreached {
		a.narrate("warning: %s is not audited: %s", u.URL, u.Reason)
	}
	minTLS, err := minTLSVersion(flags.minTLS)
	if err != nil {
		return nil, err
	}
	mounted := flags.hosts.root != "" && flags.hosts.root != "/"
	files := h.Settings
	h.HostAudit = collect.HostTargets(found, collect.HostConfig{Given: given, Mounted: mounted, MinTLSVersion: minTLS, Now: now})
	h.Settings = append(files, h.Settings...)
	etcd := func(e collect.Endpoint) bool { return slices.Contains(audit.Listeners(), e.Kind) }
	read := func(s *audit.HostSettings) bool { return s.Settings != nil }
	if !slices.ContainsFunc(h.Endpoints, etcd) && !slices.ContainsFunc(h.Settings, read) {
		return nil, noEtcdError(found, flags.hosts.root)
	}
	return h, nil
}

// noEtcdError returns the error for a host on which no etcd was found, or none could be seen.
func noEtcdError(found *host.Host, root string) error {
	if e := found.Embedded; e != nil {
		at := func(path string) string { return shellword.Path(filepath.Join("/", root, path)) }
		return usageError(fmt.Errorf("nothing to audit: no process, static Pod or systemd unit of etcd or kube-apiserver was found on %s; it is a %s server, which runs etcd in its own process", found.Name, e.Program),
			fmt.Sprintf("sudo etcdsec audit run --settings %s --cacert %s --cert %s --key %s %s", at(e.Config), at(e.CACert), at(e.Cert), at(e.Key), e.ClientURL))
	}
	err := errors.New("nothing to audit: no process, static Pod or systemd unit of etcd or kube-apiserver was found on " +
		found.Name + "; give -f cluster.yaml or an endpoint")
	if len(found.Faults) > 0 {
		return failure(err, "sudo etcdsec audit run   # the warnings name what this user could not read")
	}
	return usageError(err, "etcdsec audit run 10.0.0.11:2379")
}

// hostCredentials returns the credentials of the flags, or else the first ones of the host that
// can be loaded.
func (a *app) hostCredentials(flags auditRunFlags, found *host.Host, now time.Time) (collect.Credentials, error) {
	if found == nil || flags.store+flags.certPath+flags.keyPath != "" {
		return a.auditCredentials(flags.etcdCredentialFlags, now)
	}
	for _, c := range found.Credentials {
		own := flags.etcdCredentialFlags
		own.certPath, own.keyPath = c.Cert, c.Key
		if own.caPath == "" {
			own.caPath = c.Bundle
		}
		files := own.files()
		files.Found = true
		credentials, err := files.Load(now)
		if err != nil {
			a.narrate("warning: %s is not presented: %v", c.From, err)
			continue
		}
		a.narrate("presenting %s: %s", c.From, c.Cert)
		return credentials, nil
	}
	return a.auditCredentials(flags.etcdCredentialFlags, now)
}
