package cluster

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Phase tells which stored objects are encrypted. It decides whether plaintext is read and written.
type Phase string

// The phases.
const (
	// Encrypted means that nothing is stored in plaintext, as in a new cluster. No plaintext is read.
	Encrypted Phase = "encrypted"
	// Enabling means that plaintext is still stored. It is read, and no more is written.
	Enabling Phase = "enabling"
	// Disabling writes plaintext, and still reads encrypted objects.
	Disabling Phase = "disabling"
)

// Phases returns every phase.
func Phases() []Phase { return []Phase{Encrypted, Enabling, Disabling} }

// EncryptionProviders returns the providers that can encrypt, in the order in which help names them.
func EncryptionProviders() []string { return []string{"secretbox", "aesgcm", "aescbc", "kms"} }

// Wildcard reports whether a resource of an EncryptionConfiguration means a whole group, or
// everything.
func Wildcard(resource string) bool { return strings.HasPrefix(resource, "*.") }

// CheckResource refuses the resources that kube-apiserver refuses in an
// EncryptionConfiguration (k8s.io/apiserver pkg/apis/apiserver/validation, validateResourceNames).
func CheckResource(resource string) error {
	name, group, _ := strings.Cut(resource, ".")
	switch {
	case strings.ToLower(resource) != resource:
		return fmt.Errorf("%q has capital letters", resource)
	case resource == "*":
		return errors.New("want *. for the core group, *.GROUP for another, or *.* for everything")
	case slices.Contains([]string{"apiserveripinfo", "serviceipallocations", "servicenodeportallocations"}, resource):
		return fmt.Errorf("%s is not in the REST API and cannot be encrypted", resource)
	case group == "events.k8s.io":
		return errors.New("events are stored in the core group; want events")
	case group == "extensions":
		return errors.New("the group extensions does not exist any more")
	case group == "*" && name != "*":
		return fmt.Errorf("%q: want *.* for everything; a resource cannot be in all groups", resource)
	}
	return nil
}

func (v *validator) encryption(config EncryptionConfig) EncryptionConfig {
	const field = "spec.encryption"
	config.Provider = oneOf(v, field+".provider", config.Provider, EncryptionProviders()[0], EncryptionProviders())
	config.Phase = string(oneOf(v, field+".phase", config.Phase, Encrypted, Phases()))
	socket, isSocket := strings.CutPrefix(config.Socket, "unix://")
	switch {
	case config.Provider != "kms" && config.Socket != "":
		v.fault(field+".socket", "only provider kms has a socket")
	case config.Provider == "kms" && (!isSocket || !plainPath.MatchString(socket) || path.Clean(socket) != socket || path.Dir(socket) == "/"):
		v.fault(field+".socket", "provider kms needs unix:///path/to.sock, got %q", config.Socket)
	case config.Provider == "kms" && (isSystemDir(path.Dir(socket)) || reservedAbove(path.Dir(socket)) != ""):
		// The API server gets the socket's folder, with all that is in it.
		v.fault(field+".socket", "its folder %s belongs to the system and has other files, which the API server would get too; give the socket a folder of its own, such as %s", path.Dir(socket), path.Join(path.Dir(socket), "kms", path.Base(socket)))
	}
	v.argv(field+".push", config.Push, "Name", "Address", "File")
	if len(config.Resources) == 0 {
		config.Resources = []string{"secrets", "configmaps"}
	}
	v.resources(field+".resources", config.Resources, config.Exclude)
	v.resources(field+".exclude", config.Exclude, nil)
	for i, r := range config.Exclude {
		_, group, _ := strings.Cut(r, ".")
		if !slices.Contains(config.Resources, "*."+group) && !slices.Contains(config.Resources, "*.*") {
			v.fault(fmt.Sprintf("%s.exclude[%d]", field, i), "no wildcard of spec.encryption.resources covers %q, so there is nothing to exclude", r)
		}
	}
	return config
}

func (v *validator) resources(field string, resources, others []string) {
	for i, r := range resources {
		at := fmt.Sprintf("%s[%d]", field, i)
		if r == "" {
			v.fault(at, "is empty")
		} else if err := CheckResource(r); err != nil {
			v.fault(at, "%v", err)
		}
		// A dot at the end is the core group, and so no other resource than without.
		same := func(other string) bool { return strings.TrimSuffix(other, ".") == strings.TrimSuffix(r, ".") }
		if slices.ContainsFunc(resources[:i], same) || slices.ContainsFunc(others, same) {
			v.fault(at, "%q is listed twice", r)
		}
	}
}
