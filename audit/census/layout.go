package census

import (
	"bytes"
	"path"
	"strings"
)

// Layout tells which keys of a store are Kubernetes objects.
type Layout struct {
	roots []root
}

// root is a prefix below which an API server keeps its objects.
type root struct {
	prefix    string // with a slash at both ends
	openShift bool   // of the OpenShift API server, which stores its resources in other places
}

// DefaultLayout returns the layout of kube-apiserver and of OpenShift's two API servers.
func DefaultLayout() Layout {
	return Layout{roots: []root{{prefix: "/kubernetes.io/"}, {prefix: "/openshift.io/", openShift: true}, {prefix: "/registry/"}}}
}

// NewLayout returns the layout for the --etcd-prefix of an API server, with or without slashes at its ends.
func NewLayout(etcdPrefix string) Layout {
	prefix := path.Join("/", etcdPrefix)
	if prefix != "/" {
		prefix += "/"
	}
	return Layout{roots: []root{{prefix: prefix, openShift: prefix == "/openshift.io/"}}}
}

// Prefixes returns the prefixes of all objects, in the order of the keys.
func (l Layout) Prefixes() []string {
	prefixes := make([]string, len(l.roots))
	for i, r := range l.roots {
		prefixes[i] = r.prefix
	}
	return prefixes
}

// Object names the Kubernetes object that an etcd key stands for. Its slices are parts of the key.
type Object struct {
	root      int    // in the layout
	stored    []byte // the part of the key that stands for the resource, such as "minions" or "stable.example.com/crontabs"
	Namespace []byte // nil of an object of the cluster's scope
	Name      []byte
}

// Object returns the object of a key. ok is false if the key is outside all prefixes or names no
// object. Object allocates nothing.
func (l Layout) Object(key []byte) (o Object, ok bool) {
	for i, r := range l.roots {
		if len(key) > len(r.prefix) && string(key[:len(r.prefix)]) == r.prefix {
			return r.object(i, key[len(r.prefix):])
		}
	}
	return Object{}, false
}

func (r root) object(index int, rest []byte) (Object, bool) {
	words := 1
	first, _, _ := bytes.Cut(rest, []byte("/"))
	if r.hasGroup(first) {
		words = 2
	}
	stored, below := rest, []byte(nil)
	for at := range rest {
		if rest[at] != '/' {
			continue
		}
		if words--; words == 0 {
			stored, below = rest[:at], rest[at+1:]
			break
		}
	}
	if len(stored) == 0 || len(below) == 0 {
		return Object{}, false
	}
	o := Object{root: index, stored: stored, Name: below}
	if namespace, name, namespaced := bytes.Cut(below, []byte("/")); namespaced {
		o.Namespace, o.Name = namespace, name
	}
	return o, true
}

// hasGroup reports whether the key of a resource has a part for the group before the part for the
// resource. A group with a dot in its name has one: every group defined by a
// CustomResourceDefinition, and those of the API servers behind kube-apiserver.
func (r root) hasGroup(first []byte) bool {
	if bytes.IndexByte(first, '.') >= 0 {
		return true
	}
	if r.openShift {
		return string(first) == "oauth"
	}
	return string(first) == "services"
}

// Resource returns the name of the object's resource with its group, as an
// EncryptionConfiguration spells it: "secrets", "deployments.apps".
func (l Layout) Resource(o Object) string {
	if l.roots[o.root].openShift {
		return openShiftResource(string(o.stored))
	}
	stored := string(o.stored)
	if group, resource, two := strings.Cut(stored, "/"); two && strings.Contains(group, ".") {
		return resource + "." + group
	}
	return kubernetesResource(stored)
}
