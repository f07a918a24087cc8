package audit

import (
	"slices"
	"strings"
)

// Census counts, for each key, the objects of a store that it encrypted, as far as the store was read. It
// names objects and keys, and holds no value.
type Census struct {
	Source   string   `json:"source"`   // the endpoints or the file that was read
	Revision int64    `json:"revision"` // of the store, at which the objects were read
	Complete bool     `json:"complete"` // every object was read
	Reason   string   `json:"reason,omitempty"`
	Stopped  error    `json:"-"`               // why the reading stopped, of which Reason is the text; nil of a census that is complete or was not made just now
	Notes    []string `json:"notes,omitempty"` // remarks about the reading
	Objects  int64    `json:"objects"`         // of all resources together
	Outside  int64    `json:"outside"`         // keys that are not objects of an API server

	Resources []ResourceCensus `json:"resources"` // in the order of their names
	// Copies counts ciphertext that is stored under more than one key. No API server writes the same twice.
	Copies Copies `json:"copies"`
	// Residue is the data outside the revision, in a file; nil if a server was read.
	Residue *Residue `json:"residue,omitempty"`
	// Snapshot describes the file itself; nil if a server was read.
	Snapshot *SnapshotFile `json:"snapshot,omitempty"`

	// Expected holds the keys that are right; empty if they are unknown.
	Expected []EncryptionRule `json:"-"`
}

// ResourceCensus is the census of one resource.
type ResourceCensus struct {
	Resource string `json:"resource"` // as an EncryptionConfiguration spells it: "secrets", "deployments.apps"
	Objects  int64  `json:"objects"`
	// Bookkeeping marks kube-apiserver's own data, which it never encrypts, whatever its configuration.
	Bookkeeping bool          `json:"bookkeeping,omitempty"`
	Writers     []WriterCount `json:"writers"`
	Plaintext   int64         `json:"plaintext"`
	Broken      int64         `json:"broken"` // values that no API server can read

	// Encodings counts the encodings of the plaintext.
	Encodings        []EncodingCount `json:"encodings,omitempty"`
	PlaintextObjects []string        `json:"plaintext_objects,omitempty"` // "namespace/name"; the first of them
	BrokenObjects    []string        `json:"broken_objects,omitempty"`

	Namespaces []NamespaceCensus `json:"namespaces,omitempty"` // of a resource that has any
	// NamespacesLeftOut counts the objects in further namespaces, beyond the limit.
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
	// Ambiguous counts the objects that a key with another name may have encrypted: the name of a
	// key ends at a colon, and the ciphertext begins with text that has another colon. By chance
	// this happens for about one value in 160, with any key.
	Ambiguous int64 `json:"ambiguous,omitempty"`
	// InDoubt counts those of the ambiguous objects for which chance is no likely explanation.
	InDoubt int64    `json:"in_doubt,omitempty"`
	Sample  []string `json:"sample,omitempty"` // some of the objects, "namespace/name"; of a resource only
}

// EncodingCount counts the plaintext objects of one encoding.
type EncodingCount struct {
	Encoding string `json:"encoding"` // "protobuf", "json", "cbor" or "other"
	Objects  int64  `json:"objects"`
}

// Copies counts the objects whose ciphertext is also stored under another key.
type Copies struct {
	Objects int64    `json:"objects"`
	Named   []string `json:"named,omitempty"` // "resource namespace/name"; the first of them
	// Uncompared counts the objects that were not compared because the table was full.
	Uncompared int64 `json:"uncompared,omitempty"`
}

// EncryptionRule names the keys that are right for some resources.
type EncryptionRule struct {
	// Resources are written as in an EncryptionConfiguration: "secrets", "*.apps", "*.",
	// "*.*". An empty list means Secrets and every resource with an encrypted object.
	Resources []string
	// Writers are the allowed writers, without key IDs. The first one encrypts new writes.
	Writers []Writer
}

// Rule returns the rule for a resource, found as kube-apiserver finds its transformer: by name, then
// by group, then the one for all (transformerFromOverrides in
// pkg/server/options/encryptionconfig/config.go). The providers of several entries with the
// same name form one list.
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
