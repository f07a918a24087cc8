package host_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// authority makes a CA, in PEM, and the hash of its public key.
func authority(t *testing.T, name string) (certPEM, keyPEM, hash string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), hex.EncodeToString(sum[:])
}

// revocations is a list of nobody, in DER.
func revocations(t *testing.T, nextUpdate time.Time) []byte {
	t.Helper()
	certPEM, keyPEM, _ := authority(t, "ca")
	certBlock, _ := pem.Decode([]byte(certPEM))
	keyBlock, _ := pem.Decode([]byte(keyPEM))
	ca, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ca.KeyUsage, ca.SubjectKeyId = x509.KeyUsageCRLSign, []byte{1}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: nextUpdate.Add(-time.Hour), NextUpdate: nextUpdate}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca, key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// versionOne is a list as openssl makes it by default, without a number.
func versionOne(t *testing.T, nextUpdate time.Time) string {
	t.Helper()
	var list pkix.CertificateList // nothing else makes a list of version 1
	if _, err := asn1.Unmarshal(revocations(t, nextUpdate), &list); err != nil {
		t.Fatal(err)
	}
	list.TBSCertList.Raw, list.TBSCertList.Version, list.TBSCertList.Extensions = nil, 0, nil
	der, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// Every flag that names a file is told with it, every certificate of a bundle by its key, and
// a key of a CA wherever the CA's certificate is.
func TestFlagsAndKeys(t *testing.T) {
	t.Parallel()
	first, firstKey, firstHash := authority(t, "first")
	second, secondKey, secondHash := authority(t, "second")
	const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	h := look(t, host.Config{Root: tree(t, map[string]string{
		"etc/kubernetes/manifests/all.yaml": pod(`  containers:
  - command: [etcd, --name=a, --data-dir=data, --wal-dir=/w, --trusted-ca-file=/ca/ca.crt, --peer-trusted-ca-file=/ca/../ca/ca.crt, --cert-file=/p/both.pem,
      --key-file=/p/both.pem, --peer-cert-file=/p/broken.pem, --peer-key-file=/p/gone.key]
    volumeMounts: [{name: r, mountPath: /}]
  - command: [kube-apiserver, --service-account-key-file=/sa/a.pub, --service-account-key-file=/sa/b.key, --client-ca-file=/ca/ca.crt, --encryption-provider-config=/e]
    volumeMounts: [{name: r, mountPath: /}]
  volumes: [{name: r, hostPath: {path: /}}]
`),
		"ca/ca.crt": "about it\n" + first + second, "p/both.pem": first + secondKey, "p/broken.pem": first + broken + firstKey, "p/first.key": firstKey,
		"sa/a.pub": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "sa/b.key": secondKey, "e": "kind: EncryptionConfiguration\n", "data/x": "", "w/x": "",
	})})
	if len(h.Etcds) != 1 || h.APIServer == nil {
		t.Fatalf("got %+v", h)
	}
	for _, c := range []struct {
		of         *audit.Settings
		path, want string
		keys       []string
	}{
		{h.Etcds[0], "/etc/kubernetes/manifests/all.yaml", "static Pod manifest [] ", nil},
		{h.Etcds[0], "/data", "data dir [data-dir] ", nil},
		{h.Etcds[0], "/w", "data dir [wal-dir] ", nil},
		{h.Etcds[0], "/ca/ca.crt", "certificate [trusted-ca-file peer-trusted-ca-file] certificate CA ", []string{firstHash, secondHash}},
		{h.Etcds[0], "/p/both.pem", "certificate [cert-file key-file] certificate key CA ", []string{firstHash}},
		{h.Etcds[0], "/p/broken.pem", "certificate [peer-cert-file] certificate key CA a certificate in it does not parse", nil},
		{h.Etcds[0], "/p/first.key", "private key [] key CA ", nil},
		{h.Etcds[0], "/p/gone.key", "private key [peer-key-file] it is not there", nil},
		{h.APIServer, "/ca/ca.crt", "certificate [client-ca-file] certificate CA ", []string{firstHash, secondHash}},
		{h.APIServer, "/sa/a.pub", "certificate [service-account-key-file] ", nil},
		{h.APIServer, "/sa/b.key", "certificate [service-account-key-file] key CA ", nil},
		{h.APIServer, "/e", "encryption configuration [encryption-provider-config] ", nil},
	} {
		at := slices.IndexFunc(c.of.Files, func(f audit.File) bool { return f.Path == c.path })
		if at < 0 {
			t.Errorf("%s is not among %+v", c.path, c.of.Files)
			continue
		}
		f := c.of.Files[at]
		got := fmt.Sprintf("%s %v ", f.Role, f.Flags)
		for _, what := range []struct {
			is   bool
			name string
		}{{f.Certificate, "certificate "}, {f.PrivateKey, "key "}, {f.IsCA, "CA "}} {
			if what.is {
				got += what.name
			}
		}
		if got += f.Reason + f.Unread; got != c.want || !slices.Equal(f.PublicKeys, c.keys) {
			t.Errorf("%s: got %q %q, want %q %q", c.path, got, f.PublicKeys, c.want, c.keys)
		}
	}
	if f, found := h.Etcds[0].File("peer-trusted-ca-file"); !found || f.Path != "/ca/ca.crt" {
		t.Errorf("got %+v", f)
	}
}

// A revocation list is read as far as etcd reads it, and no further than its bound.
func TestRevocationLists(t *testing.T) {
	t.Parallel()
	next := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	der := revocations(t, next)
	inPEM := string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	for name, c := range map[string]struct {
		text         string
		pem          bool
		fault, old   string
		next         time.Time
		unread, gone string
	}{
		"DER":                 {text: string(der), next: next},
		"PEM":                 {text: inPEM, pem: true, next: next},
		"PEM behind a word":   {text: "A list\n" + inPEM, fault: "malformed crl", old: "asn1: "},
		"PEM without an end":  {text: inPEM[:100], pem: true, fault: "its PEM has no end", old: "its PEM has no end"},
		"PEM of nothing":      {text: "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n", pem: true, fault: "it is empty", old: "it is empty"},
		"empty":               {fault: "it is empty", old: "it is empty"},
		"DER with more":       {text: string(der) + "x", next: next, old: "trailing data"},
		"version 1":           {text: versionOne(t, next), fault: "unsupported crl version", next: next},
		"half":                {text: string(der[:len(der)/2]), fault: "malformed crl", old: "asn1: "},
		"larger than is read": {text: strings.Repeat("x", 16<<20+1), unread: "larger than 16777216 bytes"},
		"gone":                {gone: "it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree(t, map[string]string{
				"etc/systemd/system/etcd.service": "[Service]\nExecStart=/usr/bin/etcd --client-crl-file=/c.crl\n", "etc/systemd/system/x.wants/etcd.service": "-> ../etcd.service", "c.crl": c.text,
			})
			if c.gone != "" {
				if err := os.Remove(filepath.Join(root, "c.crl")); err != nil {
					t.Fatal(err)
				}
			}
			f, found := look(t, host.Config{Root: root}).Etcds[0].File("client-crl-file")
			if !found || f.Role != audit.CRLFile || f.Unread != c.unread || f.Reason != c.gone || (f.CRL == nil) != (c.unread+c.gone != "") {
				t.Fatalf("got %+v", f)
			}
			if f.CRL == nil {
				return
			}
			same := func(got, want string) bool { return strings.Contains(got, want) && (got == "") == (want == "") }
			if f.CRL.PEM != c.pem || !same(f.CRL.Fault, c.fault) || !same(f.CRL.OldFault, c.old) || !f.CRL.NextUpdate.Equal(c.next) {
				t.Errorf("got %+v", f.CRL)
			}
		})
	}
}

// What a unit with its drop-ins, and a Pod with its container, take away from etcd.
func TestSandbox(t *testing.T) {
	t.Parallel()
	const etc = "etc/systemd/system/"
	unit := func(text string, dropIns ...string) map[string]string {
		files := map[string]string{etc + "etcd.service": "[Service]\n" + text, etc + "x.wants/etcd.service": "-> ../etcd.service"}
		for i, text := range dropIns {
			files[fmt.Sprintf("%setcd.service.d/%d.conf", etc, i)] = text
		}
		return files
	}
	const start = "ExecStart=/usr/bin/etcd\n"
	of := func(by audit.FileRole, pairs ...string) *audit.Sandbox {
		s := &audit.Sandbox{By: by, Values: map[string]string{}}
		for pair := range slices.Chunk(pairs, 2) {
			s.Values[pair[0]] = pair[1]
		}
		return s
	}
	static := func(text string) map[string]string { return map[string]string{manifest: pod(text)} }
	for name, c := range map[string]struct {
		files map[string]string
		want  *audit.Sandbox
	}{
		"unit": {unit(start + "User=etcd\nNoNewPrivileges=yes\nCapabilityBoundingSet=\nProtectSystem=strict\nEnvironment=PASSWORD=x\nRestart=always\n[Install]\nProtectHome=yes\n"),
			of(audit.UnitFile, "User", "etcd", "NoNewPrivileges", "yes", "CapabilityBoundingSet", "", "ProtectSystem", "strict")},
		"plain unit": {unit(start), of(audit.UnitFile)},
		"drop-ins": {unit(start+"User=etcd\nNoNewPrivileges=yes\nPrivateTmp=yes\nCapabilityBoundingSet=CAP_A\nReadWritePaths=/a\n",
			"[Service]\nUser=\nNoNewPrivileges=no\nPrivateTmp=\nCapabilityBoundingSet=CAP_B\nReadWritePaths=\n", "[Service]\nReadWritePaths=/b /c\nReadWritePaths=/d\nGroup=%p\n"),
			of(audit.UnitFile, "NoNewPrivileges", "no", "PrivateTmp", "yes", "CapabilityBoundingSet", "CAP_A CAP_B", "ReadWritePaths", "/b /c /d", "Group", "etcd")},
		"with full privileges": {unit("ExecStart=+/usr/bin/etcd\nUser=etcd\nProtectSystem=strict\n"), of(audit.UnitFile)},
		"with privileges":      {unit("ExecStart=-!/usr/bin/etcd\nUser=etcd\nProtectSystem=strict\n"), of(audit.UnitFile, "ProtectSystem", "strict")},
		"a drop-in that cannot be read": {func() map[string]string {
			files := unit(start + "ProtectSystem=strict\n")
			files[etc+"etcd.service.d/0.conf"] = "[Service]\n#" + strings.Repeat("x", 1<<20)
			return files
		}(), nil},
		"Pod": {static("  hostPID: true\n  securityContext: {runAsNonRoot: true, runAsUser: 1, runAsGroup: 2, seccompProfile: {type: RuntimeDefault}}\n" +
			"  containers: [{command: [etcd], securityContext: {privileged: false, runAsUser: 0, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL, X], add: [SYS_ADMIN]}}}]\n"),
			of(audit.ManifestFile, "hostPID", "true", "runAsNonRoot", "true", "runAsUser", "0", "runAsGroup", "2", "seccompProfile.type", "RuntimeDefault", "privileged", "false",
				"allowPrivilegeEscalation", "false", "readOnlyRootFilesystem", "true", "capabilities.drop", "ALL,X", "capabilities.add", "SYS_ADMIN")},
		"plain Pod": {static("  containers: [{command: [etcd]}]\n"), of(audit.ManifestFile)},
		"process":   {map[string]string{"proc/7/cmdline": "etcd\x00", "proc/7/environ": ""}, nil},
		"process of a Pod": {map[string]string{manifest: pod("  hostIPC: true\n  containers: [{command: [etcd]}]\n"), "proc/7/cmdline": "etcd\x00", "proc/7/environ": ""},
			of(audit.ManifestFile, "hostIPC", "true")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := look(t, host.Config{Root: tree(t, c.files)})
			if len(h.Etcds) != 1 {
				t.Fatalf("got %+v", h)
			}
			if diff := cmp.Diff(c.want, h.Etcds[0].Sandbox); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The version of a unit's etcd is its binary's on the host, whether it runs or not.
func TestVersionOfUnit(t *testing.T) {
	t.Parallel()
	binary, err := etcdtest.Binary(t.Context(), etcdtest.V3_7, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ binary, want string }{
		"etcd": {string(data), etcdtest.V3_7}, "script": {"#!/bin/sh\n", ""}, "half": {string(data[:len(data)/2]), ""}, "link out of the root": {"-> " + binary, ""},
	} {
		h := look(t, host.Config{Root: tree(t, map[string]string{
			"etc/systemd/system/etcd.service": "[Service]\nExecStart=/opt/etcd\n", "etc/systemd/system/x.wants/etcd.service": "-> ../etcd.service", "opt/etcd": c.binary,
		})})
		if got := h.Etcds[0].Version; got != c.want && (name != "half" || got != etcdtest.V3_7) {
			t.Errorf("%s: version %q, want %q", name, got, c.want)
		}
	}
}
