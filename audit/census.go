package audit

import (
	"slices"
	"strings"
)

// Census lists which key encrypted every object of a store, as far as it was read. It names
// objects and keys, and holds no value.
type Census struct {
	Source   string   `json:"source"`   // the endpoints or the file that was read
	Revision int64    `json:"revision"` // of the store, at which the objects were read
	Complete bool     `json:"complete"` // every object was read
	Reason   string   `json:"reason,omitempty"`
	Stopped  error    `json:"-"`               // why the reading stopped, of which Reason is the text; nil of a census that is complete or was not made just now
	Notes    []string `json:"notes,omitempty"` // what else to know about the reading
	Objects  int64    `json:"objects"`         // of all resources together
	Outside  int64    `json:"outside"`         // keys that are no object of an API server

	Resources []ResourceCensus `json:"resources"` // in the order of their names
	// Copies is ciphertext that lies under more than one key. No API server writes the same twice.
	Copies Copies `json:"copies"`
	// Residue is what was found outside of the revision, in a file; nil of a server that was asked.
	Residue *Residue `json:"residue,omitempty"`
	// Snapshot is the file itself, if it is one; nil of a server that was asked.
	Snapshot *SnapshotFile `json:"snapshot,omitempty"`

	// Expected is which keys are right; empty if nobody said so.
	Expected []EncryptionRule `json:"-"`
}

// ResourceCensus is the census of one resource.
type ResourceCensus struct {
	Resource string `json:"resource"` // as an EncryptionConfiguration spells it: "secrets", "deployments.apps"
	Objects  int64  `json:"objects"`
	// Bookkeeping is kube-apiserver's own, which it never encrypts, whatever it was told.
	Bookkeeping bool          `json:"bookkeeping,omitempty"`
	Writers     []WriterCount `json:"writers"`
	Plaintext   int64         `json:"plaintext"`
	Broken      int64         `json:"broken"` // values that no API server can read

	// Encodings are those of the plaintext.
	Encodings        []EncodingCount `json:"encodings,omitempty"`
	PlaintextObjects []string        `json:"plaintext_objects,omitempty"` // "namespace/name"; the first of them
	BrokenObjects    []string        `json:"broken_objects,omitempty"`

	Namespaces []NamespaceCensus `json:"namespaces,omitempty"` // of a resource that has any
	// NamespacesLeftOut is how many objects are in namespaces beyond as many as are told apart.
	NamespacesLeftOut int64 `json:"namespaces_left_out,omitempty"`
}

// NamespaceCensus is the census of one resource in one namespace.
type NamespaceCensus struct {
	Namespace string        `json:"namespace"`
	Objects   int64         `json:"objects"`
	Writers   []WriterCount `json:"writers,omitempty"`
	Plaintext int64         `json:"plaintext,omitempty"`
	Broken    int64         `json:"broken,omitempty"`
}

// WriterCount counts the objects that a writer has encrypted.
type WriterCount struct {
	Writer
	Objects int64 `json:"objects"`
	// Ambiguous counts those of the objects that a key with another name may have encrypted:
	// the name of a key ends at a colon, and there is a further one where the ciphertext begins.
	// One in some 160 values by any key has it by chance.
	Ambiguous int64    `json:"ambiguous,omitempty"`
	Sample    []string `json:"sample,omitempty"` // some of the objects, "namespace/name"; of a resource only
}

// InDoubt returns how many of the objects another key may have encrypted; 0 where as many look so by chance.
func (c WriterCount) InDoubt() int64 {
	const inHundred = 2 // chance makes it one in 160
	if c.Ambiguous*100 <= c.Objects*inHundred {
		return 0
	}
	return c.Ambiguous
}

// EncodingCount counts the plaintext objects of one encoding.
type EncodingCount struct {
	Encoding string `json:"encoding"` // "protobuf", "json", "cbor" or "other"
	Objects  int64  `json:"objects"`
}

// Copies counts the objects whose ciphertext was seen before under another key.
type Copies struct {
	Objects int64    `json:"objects"`
	Named   []string `json:"named,omitempty"` // "resource namespace/name"; the first of them
	// Uncompared is how many objects were not compared, because the table was full.
	Uncompared int64 `json:"uncompared,omitempty"`
}

// EncryptionRule names the keys that are right for some resources.
type EncryptionRule struct {
	// Resources are written as in an EncryptionConfiguration: "secrets", "*.apps", "*.",
	// "*.*". None at all are Secrets and every resource of which an object is encrypted.
	Resources []string
	// Writers are those that may be found, without key IDs. What is written now is written by the first.
	Writers []Writer
}

// Rule returns the rule for a resource, found as kube-apiserver finds its transformer: by name, then
// by group, then the one for all (transformerFromOverrides in
// pkg/server/options/encryptionconfig/config.go). The providers of several entries that name
// the same are one list.
func (c *Census) Rule(r ResourceCensus) (EncryptionRule, bool) {
	if r.Bookkeeping {
		return EncryptionRule{}, false
	}
	_, group, _ := strings.Cut(r.Resource, ".")
	for _, name := range []string{r.Resource, "*." + group, "*.*"} {
		var found EncryptionRule
		for _, rule := range c.Expected {
			if slices.Contains(rule.Resources, name) {
				found.Resources = []string{name}
				found.Writers = append(found.Writers, rule.Writers...)
			}
		}
		if len(found.Writers) > 0 {
			return found, true
		}
	}
	for _, rule := range c.Expected {
		if len(rule.Resources) == 0 && (r.Resource == "secrets" || len(r.Writers) > 0) {
			return rule, true
		}
	}
	return EncryptionRule{}, false
}
