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
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// ledgerName is the file of the ledger in a store.
const ledgerName = "ledger.jsonl"

// A ledger of ten years of a large cluster is a few MiB.
const maxLedgerSize = 256 << 20

// Entry is one line of the ledger: a certificate that was issued. It is on the disk
// before the certificate is released. Hashes, key IDs and serials are hexadecimal.
type Entry struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"` // issue
	Reason    string    `json:"reason"`
	Name      string    `json:"name"` // an authority or a leaf of the plan
	Role      string    `json:"role"` // ca, or a leaf's role
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
	Prev      string    `json:"prev"` // SHA-256 of the line before, without its line feed; empty in the first
}

func newEntry(name, role, reason, specHash string, cert *x509.Certificate, now time.Time) Entry {
	sum := sha256.Sum256(cert.Raw)
	names, _ := namesOf(cert)
	return Entry{
		Time: now.UTC().Truncate(time.Second), Event: "issue", Reason: reason,
		Name: name, Role: role, Subject: cert.Subject.CommonName, Serial: SerialString(cert.SerialNumber),
		SANs: names.Strings(), EKUs: EKUNames(cert.ExtKeyUsage),
		NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		SKID: hex.EncodeToString(cert.SubjectKeyId), IssuerKID: hex.EncodeToString(cert.AuthorityKeyId),
		KeyHash: keyHash(cert), CertHash: hex.EncodeToString(sum[:]), SpecHash: specHash,
	}
}

// ReadLedger reads the ledger of the store in dir and checks its chain: a line that was
// edited, moved, inserted or taken out of the middle is an error that names the first
// such line. A last line without a line feed was being written when its process died,
// before its certificate was released; it is left out.
func ReadLedger(dir string) ([]Entry, error) {
	l, err := readLedger(dir)
	return l.entries, err
}

type ledger struct {
	entries []Entry
	size    int64  // of the part that is whole, in bytes
	last    string // hash of the last whole line
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

func parseLedger(data []byte) (ledger, error) {
	var l ledger
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return l, nil
		}
		var e Entry
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			return ledger{}, fmt.Errorf("%d: not a ledger line: %w", number, err)
		}
		if e.Prev != l.last {
			return ledger{}, fmt.Errorf("%d: the line before it is not the one it was written after; the ledger was edited", number)
		}
		l.entries = append(l.entries, e)
		l.last = lineHash(line)
		l.size += int64(len(line)) + 1
		data = rest
	}
}

func lineHash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// appendLedger adds entries as one durable write. The caller holds the store's lock.
func appendLedger(dir string, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	l, err := readLedger(dir)
	if err != nil {
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
	return durable.Append(path, lines)
}

// chain encodes entries behind the ledger's last line.
func (l ledger) chain(entries []Entry) ([]byte, error) {
	var b bytes.Buffer
	prev := l.last
	for _, e := range entries {
		e.Prev = prev
		line, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encoding a ledger line: %w", err)
		}
		b.Write(line)
		b.WriteByte('\n')
		prev = lineHash(line)
	}
	return b.Bytes(), nil
}

// cutTornLine removes what a killed process left behind the last whole line.
func cutTornLine(path string, whole int64) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == whole {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	if err := os.Truncate(path, whole); err != nil {
		return fmt.Errorf("cutting the ledger's torn last line: %w", err)
	}
	return nil
}
