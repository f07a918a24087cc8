package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// BenchmarkLeafStd times the std backend beside a key and a certificate by crypto/x509
// alone: "backend" is its key and certificate, "path" is that with the verification before
// release and the ledger line. Verifying costs a signature check, which the comparison has not.
func BenchmarkLeafStd(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ours, err := newOurs(b, BackendStd)
	if err != nil {
		b.Fatal(err)
	}
	issuer := ours.run.signed[ServerIssuing]
	var path, backend, raw time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		if err := ours.leaf(); err != nil {
			b.Fatal(err)
		}
		pathEnd := time.Now()
		if err := ours.backendLeaf(b); err != nil {
			b.Fatal(err)
		}
		backendEnd := time.Now()
		if err := rawLeaf(issuer); err != nil {
			b.Fatal(err)
		}
		path += pathEnd.Sub(start)
		backend += backendEnd.Sub(pathEnd)
		raw += time.Since(backendEnd)
		n++
	}
	b.ReportMetric(float64(n)/path.Seconds(), "path/s")
	b.ReportMetric(float64(n)/backend.Seconds(), "backend/s")
	b.ReportMetric(float64(n)/raw.Seconds(), "raw/s")
	b.ReportMetric(raw.Seconds()/path.Seconds(), "path-ratio")
	b.ReportMetric(raw.Seconds()/backend.Seconds(), "backend-ratio")
	b.ReportMetric(0, "ns/op") // the sum of all says nothing
}

// backendLeaf makes a key and a certificate for it by the backend, and no more.
func (p *ourPath) backendLeaf(b *testing.B) error {
	b.Helper()
	l := p.leaves[p.next%len(p.leaves)]
	key, err := generateKey(p.run.survey.plan.KeyAlgorithm)
	if err != nil {
		return err
	}
	issuer := p.run.signed[l.Issuer].cert
	_, err = p.signers[l.Issuer].sign(b.Context(), l, subject{key: key}, issuer.NotBefore, issuer.NotAfter)
	return err
}

func rawLeaf(issuer *ca) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "etcd-0"},
		NotBefore: issuer.cert.NotBefore, NotAfter: issuer.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: serverAuth, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 11), net.IPv6loopback}, DNSNames: []string{"etcd-0.example.internal", "localhost"},
	}
	_, err = x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	return err
}

// BenchmarkThousandMembers issues and renews two thousand leaves on every core, files
// synced, and says how many a second and how much memory is held.
func BenchmarkThousandMembers(b *testing.B) {
	const members = 1000
	for _, backend := range []Backend{BackendCfssl, BackendStd} {
		b.Run(string(backend), func(b *testing.B) {
			c := largeSpec(b, members)
			for b.Loop() {
				dir := filepath.Join(b.TempDir(), "store")
				for _, step := range []struct {
					name    string
					renewal Renewal
				}{{"issued/s", Renewal{}}, {"renewed/s", Renewal{All: true}}} {
					store, err := OpenStore(dir, c)
					if err != nil {
						b.Fatal(err)
					}
					start, now := time.Now(), time.Now()
					work, err := store.Survey(b.Context(), NewPlan(c), now, step.renewal)
					if err != nil {
						b.Fatal(err)
					}
					if err := store.Issue(b.Context(), work, c.YAML, IssueConfig{Now: now, Backend: backend}); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(work.count())/time.Since(start).Seconds(), step.name)
					store.Close()
				}
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				b.ReportMetric(float64(memory.Sys)/(1<<20), "MiB-sys")
			}
		})
	}
}

// largeSpec is a spec with more members than one network of 256 addresses has room for.
func largeSpec(b *testing.B, members int) *cluster.Cluster {
	b.Helper()
	var spec strings.Builder
	spec.WriteString("apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: large}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    members:\n")
	for i := range members {
		fmt.Fprintf(&spec, "      - {name: etcd-%d, addresses: [10.0.%d.%d, etcd-%d.example.internal]}\n", i, i/200, 1+i%200, i)
	}
	spec.WriteString("  pki: {permittedNames: [10.0.0.0/16, example.internal]}\n")
	return reload(b, spec.String())
}
