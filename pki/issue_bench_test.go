package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/cloudflare/cfssl/config"
	"github.com/cloudflare/cfssl/csr"
	"github.com/cloudflare/cfssl/log"
	"github.com/cloudflare/cfssl/signer"
	"github.com/cloudflare/cfssl/signer/local"
)

// BenchmarkLeaf compares one leaf through our whole path (key, CSR, cfssl behind the
// wrapper, verification by crypto/x509, ledger line) with one from cfssl's own library
// (key, CSR, signature), in the same run and on one core. The sub-benchmarks alternate
// leaf by leaf, so that a machine whose speed drifts slows both; "ratio" is cfssl's time
// divided by ours.
func BenchmarkLeaf(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ours, err := newOurs(b, BackendCfssl)
	if err != nil {
		b.Fatal(err)
	}
	theirs := newTheirs(b, ours.run.signed[ServerIssuing])
	var ourTime, theirTime time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		if err := ours.leaf(); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if err := theirs.leaf(); err != nil {
			b.Fatal(err)
		}
		ourTime += between.Sub(start)
		theirTime += time.Since(between)
		n++
	}
	b.ReportMetric(float64(n)/ourTime.Seconds(), "ours/s")
	b.ReportMetric(float64(n)/theirTime.Seconds(), "cfssl/s")
	b.ReportMetric(theirTime.Seconds()/ourTime.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}

// ourPath issues the plan's leaves in turn: server, peer and client.
type ourPath struct {
	run     *issuance
	signers map[string]*leafSigner
	leaves  []Leaf
	next    int
	ledger  ledger
}

func newOurs(b *testing.B, backend Backend) (*ourPath, error) {
	b.Helper()
	c := specOf(b, 3, "")
	store, err := OpenStore(filepath.Join(b.TempDir(), "store"), c)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	now := time.Now()
	work, err := store.Survey(context.Background(), NewPlan(c), now, Renewal{})
	if err != nil {
		return nil, err
	}
	run := newIssuance(work, IssueConfig{Now: now, Backend: backend}, &Store{})
	if err := run.signAuthorities(context.Background()); err != nil {
		return nil, err
	}
	p := &ourPath{run: run, signers: map[string]*leafSigner{}}
	for _, bundle := range work.plan.Bundles {
		p.leaves = append(p.leaves, bundle.Leaves...)
	}
	for _, l := range p.leaves {
		if p.signers[l.Issuer], err = run.newSigner(l); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *ourPath) leaf() error {
	l := p.leaves[p.next%len(p.leaves)]
	p.next++
	issued, err := p.run.signLeaf(context.Background(), l, p.run.survey.leaves[l.ID], p.signers[l.Issuer])
	if err != nil {
		return err
	}
	_, err = p.ledger.chain([]Entry{newEntry(l.Name, l.Role, reasonNew, p.run.survey.plan.SpecHash, issued.cert, p.run.config.Now)})
	return err
}

type theirPath struct {
	signer  *local.Signer
	request *csr.CertificateRequest
}

func newTheirs(b *testing.B, issuer *ca) *theirPath {
	b.Helper()
	log.Level = log.LevelFatal
	signer, err := local.NewSigner(issuer.key, issuer.cert, signer.DefaultSigAlgo(issuer.key), &config.Signing{
		Default: &config.SigningProfile{Usage: []string{"digital signature", "server auth"}, Expiry: time.Hour},
	})
	if err != nil {
		b.Fatal(err)
	}
	return &theirPath{signer: signer, request: &csr.CertificateRequest{
		CN: "etcd-0", KeyRequest: csr.NewKeyRequest(),
		Hosts: []string{"10.0.0.11", "fd00::11", "127.0.0.1", "::1", "etcd-0.example.internal", "localhost"},
	}}
}

func (p *theirPath) leaf() error {
	csrPEM, _, err := csr.ParseRequest(p.request)
	if err != nil {
		return err
	}
	_, err = p.signer.Sign(signer.SignRequest{Request: string(csrPEM)})
	return err
}

// BenchmarkBootstrapPKI is a new store for three members on disk, every file synced.
func BenchmarkBootstrapPKI(b *testing.B) {
	c := specOf(b, 3, "  apiServers: [{name: cp-0, addresses: [10.0.0.21]}, {name: cp-1, addresses: [10.0.0.22]}, {name: cp-2, addresses: [10.0.0.23]}]\n  clients: [{name: backup, role: backup}, {name: monitoring, role: monitoring}, {name: root, role: root}]\n")
	parent := b.TempDir()
	n := 0
	for b.Loop() {
		n++
		store, err := OpenStore(filepath.Join(parent, fmt.Sprint(n)), c)
		if err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		work, err := store.Survey(context.Background(), NewPlan(c), now, Renewal{})
		if err != nil {
			b.Fatal(err)
		}
		if err := store.Issue(context.Background(), work, c.YAML, IssueConfig{Now: now}); err != nil {
			b.Fatal(err)
		}
		store.Close()
	}
}

// BenchmarkVerifyLeaf is what verification costs of that.
func BenchmarkVerifyLeaf(b *testing.B) {
	c := specOf(b, 1, "")
	dir := filepath.Join(b.TempDir(), "store")
	issue(b, dir, c, testNow())
	for _, l := range NewPlan(c).Bundles[0].Leaves {
		b.Run(l.Role, func(b *testing.B) {
			chain := readChain(b, filepath.Join(dir, "nodes", "etcd-0", "pki", l.CertFile))
			root := readChain(b, filepath.Join(dir, "authorities", l.Root, "ca.crt"))[0]
			for b.Loop() {
				if err := verifyLeaf(l, chain, []*x509.Certificate{root}, chain[0].PublicKey, testNow()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
