package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

func (d *demo) store() string { return filepath.Join(d.dir, "store") }
func (d *demo) spec() string  { return filepath.Join(d.dir, "cluster.yaml") }

// runEtcdsec runs the etcdsec command and shows the command line. It returns the output and writes
// it to resultName in the demo's folder. The command's messages go to stderr.
func (d *demo) runEtcdsec(ctx context.Context, wantStatus int, resultName string, args ...string) (string, error) {
	shownArgs := make([]string, 0, len(args))
	for _, a := range args {
		if filepath.IsAbs(a) {
			a = displayPath(a)
		}
		shownArgs = append(shownArgs, a)
	}
	d.say("$ etcdsec %s", shellword.Join(shownArgs))
	cmd := exec.CommandContext(ctx, d.etcdsec, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, d.stderr
	err := cmd.Run()
	status := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status = exit.ExitCode()
	case err != nil:
		return "", fmt.Errorf("running %s: %w; build it with `make build`", d.etcdsec, err)
	}
	if writeErr := os.WriteFile(filepath.Join(d.dir, resultName), out.Bytes(), 0o600); writeErr != nil {
		return "", writeErr
	}
	if status != wantStatus {
		return "", fmt.Errorf("`etcdsec %s` ended with status %d, want %d\n%s", shellword.Join(shownArgs), status, wantStatus, out.String())
	}
	return out.String(), nil
}

func (d *demo) bootstrap(ctx context.Context) error {
	var err error
	if d.layout, err = newLayout(); err != nil {
		return err
	}
	if err := os.WriteFile(d.spec(), []byte(d.layout.spec(d.dir, d.version)), 0o600); err != nil {
		return err
	}
	d.say("[1/5] one spec in, certificates and hardened configs out")
	_, err = d.runEtcdsec(ctx, 0, "bootstrap.txt", "bootstrap", "-f", d.spec(), d.store())
	return err
}

func (d *demo) startMembers(ctx context.Context) error {
	d.say("[2/5] three real etcd %s members from those files", d.version)
	started := d.now()
	for i, host := range d.layout.hosts {
		name := memberName(i)
		m, err := etcdtest.Start(ctx, etcdtest.Config{
			Name:      name,
			Version:   d.version,
			Dir:       d.dir,
			Args:      []string{"--config-file=" + filepath.Join(d.store(), "nodes", name, "etcd.conf.yaml")},
			LogPath:   filepath.Join(d.dir, name+".log"),
			HealthURL: "http://" + net.JoinHostPort(host, strconv.Itoa(d.layout.metric)) + "/health",
			Detach:    d.keep,
		}, d.stderr)
		if err != nil {
			return err
		}
		d.members = append(d.members, m)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, m := range d.members {
		if err := m.WaitHealthy(ctx); err != nil {
			return err
		}
	}
	d.say("      healthy after %s", d.now().Sub(started).Round(10*time.Millisecond))
	return nil
}

// writeAndRead writes through each member and reads every key through every member. Both are
// linearizable, so each needs a quorum.
func (d *demo) writeAndRead(ctx context.Context) error {
	d.say("[3/5] a linearizable write and read through each member, with the issued client")
	config, err := clientTLS(filepath.Join(d.store(), "clients", "kube-apiserver"))
	if err != nil {
		return err
	}
	for i := range d.layout.hosts {
		if err := d.roundTrip(ctx, i, config); err != nil {
			return fmt.Errorf("member %s: %w", memberName(i), err)
		}
	}
	return nil
}

func (d *demo) roundTrip(ctx context.Context, i int, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{
		Context:   ctx,
		Endpoints: []string{"https://" + d.layout.clientEndpoint(i)},
		TLS:       config,
		Logger:    zap.NewNop(),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	key, value := "demo/"+memberName(i), "written through "+memberName(i)
	if _, err := client.Put(ctx, key, value); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	got, err := client.Get(ctx, "demo/", clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if len(got.Kvs) != i+1 || string(got.Kvs[i].Value) != value {
		return fmt.Errorf("read %d keys after %d writes", len(got.Kvs), i+1)
	}
	d.say("      %s: wrote and read %d keys at revision %d", memberName(i), len(got.Kvs), got.Header.Revision)
	return nil
}

func clientTLS(dir string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", filepath.Join(dir, "ca.crt"))
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS13}, nil
}

func (d *demo) auditCluster(ctx context.Context) error {
	d.say("[4/5] the audit: what do these members accept?")
	report, err := d.runEtcdsec(ctx, 0, "audit-cluster.txt", "audit", "run", "-f", d.spec(), "--pki", d.store(), "--mint")
	if err != nil {
		return err
	}
	d.print("The cluster that etcdsec made:\n\n%s", report)
	return nil
}

func (d *demo) auditWeak(ctx context.Context) error {
	d.say("[5/5] the same audit of an etcd without TLS and client certificates")
	client := net.JoinHostPort("127.0.0.1", strconv.Itoa(d.layout.weakClient))
	peer := net.JoinHostPort("127.0.0.1", strconv.Itoa(d.layout.weakPeer))
	weak, err := etcdtest.Start(ctx, etcdtest.Config{
		Name:    "weak",
		Version: d.version,
		Dir:     d.dir,
		Args: []string{
			"--name=weak", "--data-dir=" + filepath.Join(d.dir, "data", "weak"),
			"--listen-client-urls=http://" + client, "--advertise-client-urls=http://" + client,
			"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer,
			"--initial-cluster=weak=http://" + peer,
		},
		LogPath:   filepath.Join(d.dir, "weak.log"),
		HealthURL: "http://" + client + "/health",
	}, d.stderr)
	if err != nil {
		return err
	}
	defer weak.Kill()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := weak.WaitHealthy(ctx); err != nil {
		return err
	}
	if _, err := d.runEtcdsec(ctx, 3, "audit-weak.txt", "audit", "run", client, "--peer", peer); err != nil {
		return err
	}
	report, err := d.runEtcdsec(ctx, 3, "audit-weak.json", "audit", "run", client, "--peer", peer, "-o", "json")
	if err != nil {
		return err
	}
	return d.printFindings(report)
}

func (d *demo) summary() {
	if !d.keep {
		d.print("Members stopped. The spec, the store, the logs and both reports are in %s.", displayPath(d.dir))
		return
	}
	pids := make([]string, 0, len(d.members))
	for _, m := range d.members {
		pids = append(pids, strconv.Itoa(m.PID()))
	}
	endpoints := make([]string, 0, len(d.layout.hosts))
	for i := range d.layout.hosts {
		endpoints = append(endpoints, "https://"+d.layout.clientEndpoint(i))
	}
	client := filepath.Join(displayPath(d.store()), "clients", "kube-apiserver")
	d.print(`The cluster is left running. To reach it, audit it, stop it:

  etcdctl --endpoints=%s \
    --cacert=%s/ca.crt --cert=%s/client.crt --key=%s/client.key endpoint status -w table
  %s audit run -f %s --pki %s --mint
  kill %s`, strings.Join(endpoints, ","), client, client, client, displayPath(d.etcdsec), displayPath(d.spec()), displayPath(d.store()), strings.Join(pids, " "))
}
