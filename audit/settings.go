package audit

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings holds the settings of a program on a host, from flags, environment and configuration file, as
// the program itself combines them.
type Settings struct {
	Program string // "etcd" or "kube-apiserver"
	Host    string // the name of the host on which they were found
	Origin  string // where: the path of a static Pod, the name of a unit, or "process NAME"
	Version string // of the program as the image or the binary says it, such as "3.6.16"; empty if unknown
	Running bool   // a process of it was seen, and Values are what it was started with
	Remote  bool   // they are of another machine, whose files were not looked at

	// Values holds the effective settings by the name of the flag, without dashes:
	// "client-cert-auth". A setting that nobody made is not in it. A setting that was made only
	// where it has no effect has Overridden and no Source.
	Values map[string]Setting
	// Faults lists what could not be read, each with its reason. A check that depends on it returns
	// [CouldNotTell].
	Faults []Fault
	// Files lists the files that the settings name, and those near them that the benchmarks name.
	Files []File
	// APIServer holds the settings of the kube-apiserver on the same host; nil if there is none, and
	// if these are its own.
	APIServer *Settings
	// Encryption is the API server's --encryption-provider-config as kube-apiserver reads it; nil if it was not read.
	Encryption *EncryptionConfig
	// Sandbox holds the limits that the static Pod or the systemd unit sets, or else those that a
	// process shows; nil if none was read.
	Sandbox *Sandbox
}

// Setting is one effective setting.
type Setting struct {
	Value  string // as written; "true" for a flag without a value
	Source string // "flag", "environment", or "config file PATH"
	// Partial means that a part of Value is unknown and stands in it as it was written, such as
	// ${NODE_IP} for a variable. The rest is in effect. A Fault gives the reason.
	Partial bool
	// Overridden lists other values that were written and have no effect.
	Overridden []Override
}

// Override is a value that was written and has no effect.
type Override struct {
	Source string // "flag", "environment", or the path of a manifest or unit that says the flag
	Value  string // as written; "true" for a flag without a value
	Flag   bool   // it was written as a flag, wherever
	// Text describes it for people, with the reason why it has no effect:
	// "flag --client-cert-auth=true: a config file replaces all flags".
	Text string
}

// WrittenAsFlag reports whether the setting was made by a flag that has no effect.
func (s Setting) WrittenAsFlag() bool {
	return slices.ContainsFunc(s.Overridden, func(o Override) bool { return o.Flag })
}

// OverriddenText joins the texts of the overridden values; it is empty if there are none.
func (s Setting) OverriddenText() string {
	texts := make([]string, len(s.Overridden))
	for i, o := range s.Overridden {
		texts[i] = o.Text
	}
	return strings.Join(texts, "; ")
}

// Fault is a file or a setting that could not be read or understood.
type Fault struct {
	// Subject is the file, or the setting by the name of its flag. It is empty for all settings that
	// are not in Values: they may have been made in a place that could not be read.
	Subject string
	Reason  string
}

// File is one file or folder on the host.
type File struct {
	Path         string
	Role         FileRole
	Mode         fs.FileMode
	UID, GID     uint32
	Owner, Group string // the names; the numbers where there is no name
	Unnamed      string // why the name of Owner or Group, which is a number, is unknown; empty if it has none
	Reason       string // why its metadata could not be read; empty if it was

	Flags []string // that name it, without dashes; none for a file that is only near such a file

	// Certificate is set for a PEM file with certificates, PrivateKey for one with a private
	// key. The key itself is never kept.
	Certificate, PrivateKey bool

	Unread string // why its content is not completely known, for a file with PEM or a revocation list; empty if it is
	// IsCA is set for a file with a key if the key belongs to the certificate of a CA in one of the
	// Files, and for a file without a key if its first certificate is a CA's.
	IsCA bool
	// PublicKeys holds the SHA-256 hashes, in hex, of the SubjectPublicKeyInfo of each certificate in
	// it, in their order; none if it is Unread.
	PublicKeys []string
	CRL        *RevocationList // what is in a CRLFile; nil if it was not read
}

// RevocationList describes the content of a file with a CRL. etcd up to 3.5 parses it with
// x509.ParseCRL, which also accepts PEM, and later releases with x509.ParseRevocationList.
type RevocationList struct {
	PEM        bool      // and not DER
	Fault      string    // why x509.ParseRevocationList does not parse it, in PEM or DER; empty if it does
	OldFault   string    // the same for x509.ParseCRL, which accepts lists of version 1
	NextUpdate time.Time // zero if it names none, or does not parse
}

// Sandbox describes the limits that separate a program from the rest of its host.
type Sandbox struct {
	By FileRole // ManifestFile or UnitFile; ProcessStatus if neither was read
	// Values holds the values as written. For a unit, the keys are systemd's directives
	// ("NoNewPrivileges"), including drop-ins, with the items of a list separated by blanks. For a
	// Pod, the keys are the names in the container's securityContext, with the Pod's values if the
	// container has none ("runAsNonRoot", "seccompProfile.type", "capabilities.drop" with commas),
	// and "hostPID" and "hostIPC" of the Pod's spec. For a process, the keys are names of
	// proc_pid_status(5): "Uid" (the effective one), "CapEff", "NoNewPrivs" and "Seccomp".
	Values map[string]string
}

// FileRole is the purpose of a file.
type FileRole string

// The roles of files.
const (
	ManifestFile  FileRole = "static Pod manifest"
	UnitFile      FileRole = "systemd unit"
	ConfigFile    FileRole = "configuration file"
	EnvFile       FileRole = "environment file"
	DataDir       FileRole = "data dir"
	PKIDir        FileRole = "PKI dir"
	CertFile      FileRole = "certificate"
	KeyFile       FileRole = "private key"
	EncryptionKey FileRole = "encryption configuration"
	CRLFile       FileRole = "revocation list"
	ProcessStatus FileRole = "process status" // of Linux: /proc/PID/status
)

// EncryptionConfig tells what kube-apiserver makes of an EncryptionConfiguration. It holds no key.
type EncryptionConfig struct {
	Refused   []string   // why kube-apiserver does not load it, one fault a text; then nothing else is known
	Resources []string   // that its rules name, as they may be printed
	Secrets   []Provider // what is tried for Secrets, in order; the first one writes. None if no rule covers them
	Findings  []EncryptionFinding
}

// EncryptionFinding is one fault of the file itself, such as a key that can be guessed.
type EncryptionFinding struct {
	CheckID  string
	Severity Severity
	Text     string // without a secret in it
}

// Value returns the effective value of a setting; the empty string if nobody made it.
func (s *Settings) Value(flag string) string { return s.Values[flag].Value }

// Enabled reports whether a boolean setting is on. Settings that nobody made are off; so are etcd's
// defaults of the settings that the checks ask for.
func (s *Settings) Enabled(flag string) bool {
	on, err := strconv.ParseBool(s.Values[flag].Value)
	return err == nil && on
}

// URLs returns the items of a setting that is a list, such as listen-client-urls.
func (s *Settings) URLs(flag string) []string {
	var urls []string
	for url := range strings.SplitSeq(s.Values[flag].Value, ",") {
		if url = strings.TrimSpace(url); url != "" {
			urls = append(urls, url)
		}
	}
	return urls
}

// Fault returns why a setting or a file is unknown; it is empty if it is known.
func (s *Settings) Fault(subject string) string {
	for _, f := range s.Faults {
		if f.Subject == subject {
			return f.Reason
		}
	}
	if s.Values[subject].Source != "" || strings.HasPrefix(subject, "/") {
		return ""
	}
	for _, f := range s.Faults {
		if f.Subject == "" {
			return f.Reason
		}
	}
	return ""
}

// File returns the file that a setting names. A path inside a container can differ from the path on the
// host, so the collector records which flags name the file.
func (s *Settings) File(flag string) (File, bool) {
	at := slices.IndexFunc(s.Files, func(f File) bool { return slices.Contains(f.Flags, flag) })
	if value := s.Value(flag); at < 0 && path.IsAbs(value) {
		at = slices.IndexFunc(s.Files, func(f File) bool { return f.Path == path.Clean(value) })
	}
	if at < 0 {
		return File{}, false
	}
	return s.Files[at], true
}
