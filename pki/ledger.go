package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// ledgerName names the file of the ledger in a store.
const ledgerName = "ledger.jsonl"

// A ledger of ten years of a large cluster is a few MiB.
const maxLedgerSize = 256 << 20

// The events of a ledger.
const (
	EventIssue  = "issue"  // a certificate was signed
	EventImport = "import" // a certificate that another tool made was adopted
	EventRevoke = "revoke" // a certificate was revoked; its line repeats what it was
	EventCRL    = "crl"    // a revocation list was signed; its serial is the CRL number
)

// Entry is one line of the ledger. It records a certificate that was issued, imported or revoked, or
// a revocation list, and is on disk before these are. Hashes, key IDs and serials are hexadecimal.
type Entry struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	Reason    string    `json:"reason"` // of a revocation, in the words of RFC 5280, 5.3.1
	Name      string    `json:"name"`   // an authority or a leaf of the plan
	Role      string    `json:"role"`   // ca, or a leaf's role
	Subject   string    `json:"subject"`
	Serial    string    `json:"serial"`
	SANs      []string  `json:"sans,omitempty"`
	EKUs      []string  `json:"ekus,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SKID      string    `json:"skid"`
	IssuerKID string    `json:"issuer_skid"`
	KeyHash   string    `json:"key_sha256"`  // of the SubjectPublicKeyInfo
	CertHash  string    `json:"cert_sha256"` // of the DER
	SpecHash  string    `json:"spec_sha256"`
	KeyOnNode bool      `json:"key_on_node,omitempty"` // the key was made there, and was never here
	Prev      string    `json:"prev"`                  // SHA-256 of the line before, without its line feed; empty in the first
}

// isCertificate reports whether the line records a new certificate.
func (e Entry) isCertificate() bool { return e.Event == EventIssue || e.Event == EventImport }

// newEntry returns the ledger's line for a new certificate.
func newEntry(name, role string, reason signReason, specHash string, cert *x509.Certificate, now time.Time) Entry {
	names, _ := namesOf(cert)
	return Entry{
		Time: now.UTC().Truncate(time.Second), Event: EventIssue, Reason: string(reason),
		Name: name, Role: role, Subject: strings.ToValidUTF8(cert.Subject.CommonName, "\uFFFD"), Serial: SerialString(cert.SerialNumber),
		SANs: names.Strings(), EKUs: EKUNames(cert.ExtKeyUsage),
		NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		SKID: hex.EncodeToString(cert.SubjectKeyId), IssuerKID: hex.EncodeToString(cert.AuthorityKeyId),
		KeyHash: keyHash(cert), CertHash: certHash(cert), SpecHash: specHash,
	}
}

// ReadLedger reads the ledger of the store in dir, and checks its chain of hashes. If a line was
// edited, moved, inserted or removed, the error names the first such line. ReadLedger leaves out a
// last line without a line feed: its process died while it wrote the line, before it released the
// certificate.
func ReadLedger(dir string) ([]Entry, error) {
	l, err := readLedger(dir)
	if err != nil {
		return nil, err
	}
	return l.entries, l.checkHead(dir)
}

type ledger struct {
	entries []Entry
	size    int64    // of the part that is whole, in bytes
	hashes  []string // of each whole line
	torn    bool     // whether half a line follows them
}

// lastHash returns the hash of the last whole line.
func (l ledger) lastHash() string {
	if len(l.hashes) == 0 {
		return ""
	}
	return l.hashes[len(l.hashes)-1]
}

func readLedger(dir string) (ledger, error) {
	path := filepath.Join(dir, ledgerName)
	data, err := durable.ReadFile(path, maxLedgerSize)
	if errors.Is(err, fs.ErrNotExist) {
		return ledger{}, nil
	}
	if err != nil {
		return ledger{}, fmt.Errorf("reading the ledger: %w", err)
	}
	l, err := parseLedger(data)
	if err != nil {
		return ledger{}, fmt.Errorf("%s:%w", path, err)
	}
	return l, nil
}

// headName names the file that records the length of the ledger. The chain of hashes shows every
// edit except one: lines removed from the end.
const headName = "ledger.head"

// ledgerHead identifies a line of the ledger, and so everything before it.
type ledgerHead struct {
	Lines int    `json:"lines"`
	Hash  string `json:"sha256"` // of the last of them
}

func (h ledgerHead) encode() []byte {
	return fmt.Appendf(nil, "{\"lines\":%d,\"sha256\":%q}\n", h.Lines, h.Hash)
}

// checkHead checks that the ledger has all the lines that the head records. It may have more, if a
// process died between the two writes.
func (l ledger) checkHead(dir string) error {
	path := filepath.Join(dir, headName)
	data, err := durable.ReadFile(path, maxPEMSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the ledger's head: %w", err)
	}
	var head ledgerHead
	if err := json.Unmarshal(data, &head); err != nil || head.Lines < 0 || !bytes.Equal(data, head.encode()) {
		return fmt.Errorf("%s: not a ledger's head that etcdsec wrote; remove it if the ledger is complete", path)
	}
	switch {
	case head.Lines > len(l.hashes):
		return fmt.Errorf("%s has %d lines, but had %d: the end was cut off; restore the whole file, or if it is lost, remove %s, and run `etcdsec pki verify` to see what the ledger lacks", filepath.Join(dir, ledgerName), len(l.hashes), head.Lines, headName)
	case head.Lines > 0 && l.hashes[head.Lines-1] != head.Hash:
		return fmt.Errorf("%s:%d: not the line that was there before; the ledger was replaced", filepath.Join(dir, ledgerName), head.Lines)
	}
	return nil
}

func (l ledger) headIsCurrent(dir string) bool {
	data, err := durable.ReadFile(filepath.Join(dir, headName), maxPEMSize)
	return err == nil && bytes.Equal(data, ledgerHead{Lines: len(l.hashes), Hash: l.lastHash()}.encode())
}

func (l ledger) writeHead(dir string) error {
	head := ledgerHead{Lines: len(l.hashes), Hash: l.lastHash()}
	return durable.WriteFile(dir, durable.File{Name: headName, Mode: 0o600, Data: head.encode()}, nil)
}

func parseLedger(data []byte) (ledger, error) {
	var l ledger
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			l.torn = len(line) > 0
			return l, nil
		}
		e, err := parseEntry(line)
		if err != nil {
			return ledger{}, fmt.Errorf("%d: not a ledger line: %w", number, err)
		}
		if e.Prev != l.lastHash() {
			return ledger{}, fmt.Errorf("%d: it does not have the hash of the line before it; the ledger was edited", number)
		}
		l.entries = append(l.entries, e)
		l.hashes = append(l.hashes, lineHash(line))
		l.size += int64(len(line)) + 1
		data = rest
	}
}

// parseEntry reads one line. It accepts only what etcdsec writes: encoding/json alone would ignore what
// stands behind the object, take the last of two equal keys, and not look at the case of keys.
func parseEntry(line []byte) (Entry, error) {
	var e Entry
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return e, err
	}
	switch e.Event {
	case EventIssue, EventImport, EventRevoke, EventCRL:
	default:
		return e, fmt.Errorf("unknown event %q; was it written by a newer etcdsec?", e.Event)
	}
	if written, err := e.encode(); err != nil || !bytes.Equal(line, written) {
		return e, errors.New("it is not in the form that etcdsec writes: a key is doubled, or something stands beside the keys")
	}
	return e, nil
}

// encode returns the ledger's line of an entry, without its line feed.
func (e Entry) encode() ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding a ledger line: %w", err)
	}
	return line, nil
}

func lineHash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// appendLedger adds entries in one durable write. The caller holds the store's lock. Without entries
// it only updates the head, in case a run was killed between the two writes.
func appendLedger(dir string, entries []Entry) error {
	l, err := readLedger(dir)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		if len(l.entries) == 0 || l.headIsCurrent(dir) {
			return nil
		}
		return l.writeHead(dir)
	}
	if err := l.checkHead(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, ledgerName)
	if err := cutTornLine(path, l.size); err != nil {
		return err
	}
	lines, err := l.chain(entries)
	if err != nil {
		return err
	}
	if err := durable.Append(path, lines); err != nil {
		return err
	}
	return l.writeHead(dir)
}

// chain adds entries after the ledger's last line, and returns their lines.
func (l *ledger) chain(entries []Entry) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range entries {
		e.Prev = l.lastHash()
		line, err := e.encode()
		if err != nil {
			return nil, err
		}
		b.Write(line)
		b.WriteByte('\n')
		l.entries, l.hashes = append(l.entries, e), append(l.hashes, lineHash(line))
	}
	return b.Bytes(), nil
}

// cutTornLine removes the half line that a killed process left after the last whole line.
func cutTornLine(path string, whole int64) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == whole {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	if err := durable.Truncate(path, whole); err != nil {
		return fmt.Errorf("cutting the ledger's torn last line: %w", err)
	}
	return nil
}
