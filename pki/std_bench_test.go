package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// BenchmarkLeafStd is BenchmarkLeaf for the std backend, beside a key and a certificate by
// crypto/x509 alone, unverified and recorded nowhere.
func BenchmarkLeafStd(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ours, err := newOurs(b, BackendStd)
	if err != nil {
		b.Fatal(err)
	}
	issuer := ours.work.cas[ServerIssuing]
	var ourTime, theirTime time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		if err := ours.leaf(); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if err := rawLeaf(issuer); err != nil {
			b.Fatal(err)
		}
		ourTime += between.Sub(start)
		theirTime += time.Since(between)
		n++
	}
	b.ReportMetric(float64(n)/ourTime.Seconds(), "ours/s")
	b.ReportMetric(float64(n)/theirTime.Seconds(), "raw/s")
	b.ReportMetric(theirTime.Seconds()/ourTime.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
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
			c := specOf(b, members, "")
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
