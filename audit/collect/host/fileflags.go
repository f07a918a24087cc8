package host

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// fileFlag is a flag that names a file or folder, with its role.
type fileFlag struct {
	flag string
	role audit.FileRole
	many bool // its value is a list, as collected makes one of a flag that may be repeated
}

// fileFlags returns a program's flags that name files, in the order in which the files are
// reported. The file of --service-account-key-file is a public key, or a private key whose
// public half is used: its content shows which.
func fileFlags(program string) []fileFlag {
	if program == kubeAPIServer {
		return []fileFlag{
			{flag: "etcd-certfile", role: audit.CertFile}, {flag: "etcd-keyfile", role: audit.KeyFile}, {flag: "etcd-cafile", role: audit.CertFile},
			{flag: "client-ca-file", role: audit.CertFile}, {flag: "tls-cert-file", role: audit.CertFile}, {flag: "tls-private-key-file", role: audit.KeyFile},
			{flag: "kubelet-client-certificate", role: audit.CertFile}, {flag: "kubelet-client-key", role: audit.KeyFile},
			{flag: "proxy-client-cert-file", role: audit.CertFile}, {flag: "proxy-client-key-file", role: audit.KeyFile},
			{flag: "requestheader-client-ca-file", role: audit.CertFile},
			{flag: "service-account-key-file", role: audit.CertFile, many: true}, {flag: "service-account-signing-key-file", role: audit.KeyFile},
			{flag: "encryption-provider-config", role: audit.EncryptionKey},
		}
	}
	return []fileFlag{
		{flag: "data-dir", role: audit.DataDir}, {flag: "wal-dir", role: audit.DataDir},
		{flag: "cert-file", role: audit.CertFile}, {flag: "key-file", role: audit.KeyFile},
		{flag: "client-cert-file", role: audit.CertFile}, {flag: "client-key-file", role: audit.KeyFile},
		{flag: "trusted-ca-file", role: audit.CertFile}, {flag: "client-crl-file", role: audit.CRLFile},
		{flag: "peer-cert-file", role: audit.CertFile}, {flag: "peer-key-file", role: audit.KeyFile},
		{flag: "peer-client-cert-file", role: audit.CertFile}, {flag: "peer-client-key-file", role: audit.KeyFile},
		{flag: "peer-trusted-ca-file", role: audit.CertFile}, {flag: "peer-crl-file", role: audit.CRLFile},
	}
}

// paths returns the files that the flag names, as the program sees them.
func (f fileFlag) paths(s *audit.Settings) []string {
	value := s.Value(f.flag)
	switch {
	case value == "":
		return nil
	case f.many:
		return strings.FieldsFunc(value, func(c rune) bool { return c == ',' })
	default:
		return []string{value}
	}
}
