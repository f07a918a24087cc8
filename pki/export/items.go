package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki"
)

// Item is one file of an export, or a leaf that is skipped.
type Item struct {
	Name    string // of the leaf or member
	Role    string // of the leaf
	Detail  string
	File    File
	Skipped bool // there is no file
}

// Items holds the files of an export, and warnings about them.
type Items struct {
	List     []Item
	Warnings []string
}

// SelectionError means that the named leaves cannot be exported in this form.
type SelectionError struct {
	Err        error
	Suggestion string // a name to give instead, or empty
}

func (e *SelectionError) Error() string { return e.Err.Error() }

func (e *SelectionError) Unwrap() error { return e.Err }

// ErrKeyElsewhere means that a leaf has no key in the store.
var ErrKeyElsewhere = errors.New("its key is not in this store; it is where it was made")

// SecretsConfig says which Secrets to make.
type SecretsConfig struct {
	Shared          // Style, Namespace and, for the styles that share, the rest
	Names  []string // of leaves, members or clients; none is all whose key is in the store
}

// Secrets makes a Secret of each leaf that the configuration names.
func (s *Store) Secrets(config SecretsConfig, now time.Time) (Items, error) {
	refs, err := s.selectLeaves(config.Names)
	if err != nil {
		return Items{}, err
	}
	if config.Style == StyleTLS {
		return s.tlsSecrets(config, refs, now)
	}
	if config.Name == "" {
		config.Name = s.Cluster.Name
	}
	return s.sharedSecrets(config, refs, now)
}

// selectLeaves returns the leaves with the given names, or all leaves, each once and in plan order.
func (s *Store) selectLeaves(names []string) ([]Ref, error) {
	if len(names) == 0 {
		return s.Leaves(), nil
	}
	wanted := map[pki.LeafID]bool{}
	for _, name := range names {
		found, err := s.Find(name)
		if err != nil {
			return nil, &SelectionError{Err: err}
		}
		for _, r := range found {
			wanted[r.leaf.ID] = true
		}
	}
	return slices.DeleteFunc(s.Leaves(), func(r Ref) bool { return !wanted[r.leaf.ID] }), nil
}

func (s *Store) tlsSecrets(config SecretsConfig, refs []Ref, now time.Time) (Items, error) {
	objectNames := s.SecretNames()
	var items Items
	for _, r := range refs {
		l, err := s.Read(r, now)
		if err != nil {
			return items, err
		}
		if l.Key == nil && len(config.Names) == 0 {
			items.List = append(items.List, Item{Name: r.Name, Role: r.Role, Detail: ErrKeyElsewhere.Error(), Skipped: true})
			continue
		}
		item, err := secretItem(l, StyleTLS, objectNames[r.Name], config.Namespace)
		if err != nil {
			return items, err
		}
		items.List = append(items.List, item)
	}
	return items, nil
}

func (s *Store) sharedSecrets(config SecretsConfig, refs []Ref, now time.Time) (Items, error) {
	var items Items
	if len(config.Names) == 0 {
		refs = slices.DeleteFunc(refs, func(r Ref) bool { return !r.Member() })
	}
	chosen, err := config.Choose(refs)
	if err == nil && len(chosen) == 0 {
		err = errors.New("none of the named leaves is mounted by " + string(config.Style))
	}
	if err != nil {
		return items, &SelectionError{Err: err}
	}
	for _, r := range chosen {
		l, err := s.Read(r, now)
		if err != nil {
			return items, err
		}
		warnings, err := config.Check(l)
		if err != nil {
			return items, err
		}
		items.Warnings = append(items.Warnings, warnings...)
		item, err := secretItem(l, config.Style, config.SecretName(r), config.Namespace)
		if err != nil {
			return items, err
		}
		items.List = append(items.List, item)
	}
	return items, nil
}

func secretItem(l Leaf, style Style, name, namespace string) (Item, error) {
	if l.Key == nil {
		return Item{}, fmt.Errorf("exporting %s: %w", l.Name, ErrKeyElsewhere)
	}
	file, err := Secret(l, style, name, namespace)
	return Item{
		Name: l.Name, Role: l.Role, File: file,
		Detail: fmt.Sprintf("Secret %s/%s, %s, %s", namespace, name, l.Name, l.describeEnd()),
	}, err
}

// describeEnd returns when the leaf ends, in words.
func (l Leaf) describeEnd() string {
	return "until " + l.Cert().NotAfter.UTC().Format(time.DateOnly)
}

// PKCS12File makes a PKCS #12 file of one leaf.
func (s *Store) PKCS12File(leaf, file, password string, now time.Time) (Items, error) {
	refs, err := s.Find(leaf)
	if err != nil {
		return Items{}, &SelectionError{Err: err}
	}
	if len(refs) != 1 {
		return Items{}, &SelectionError{Err: fmt.Errorf("%s has %d leaves, but a file contains only one", leaf, len(refs)), Suggestion: refs[0].Name}
	}
	l, err := s.Read(refs[0], now)
	if err != nil {
		return Items{}, err
	}
	if l.Key == nil {
		return Items{}, fmt.Errorf("exporting %s: %w", l.Name, ErrKeyElsewhere)
	}
	data, err := PKCS12(l, password)
	return Items{List: []Item{{
		Name: l.Name, Role: l.Role, File: File{Name: file, Data: data},
		Detail: fmt.Sprintf("PKCS #12, %s, %s", l.Name, l.describeEnd()),
	}}}, err
}

// Tars makes an archive for the node of each named member, or of every member.
func (s *Store) Tars(members []string, owner *durable.Owner, now time.Time) (Items, error) {
	var items Items
	for _, name := range members {
		if _, ok := s.Cluster.Member(name); !ok {
			return items, &SelectionError{Err: fmt.Errorf("there is no member %q in cluster %s", name, s.Cluster.Name)}
		}
	}
	for _, m := range s.Cluster.Etcd.Members {
		if len(members) > 0 && !slices.Contains(members, m.Name) {
			continue
		}
		node, err := s.Node(m.Name, now)
		if err != nil {
			return items, err
		}
		data, err := node.Tar(owner)
		if err != nil {
			return items, err
		}
		detail := fmt.Sprintf("nodes/%s", m.Name)
		if keys := strings.Join(node.Keyless, " and "); keys != "" {
			detail += ", without the keys of " + keys
			items.Warnings = append(items.Warnings, fmt.Sprintf("%s: the keys of %s are not in this store; they are where they were made. The archive does not contain them", m.Name, keys))
		}
		items.List = append(items.List, Item{Name: m.Name, File: File{Name: m.Name + ".tar", Data: data}, Detail: detail})
	}
	return items, nil
}
