package encryption

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// validation checks a decoded file as kube-apiserver does
// (k8s.io/apiserver pkg/apis/apiserver/validation, validation_encryption.go), and then as
// kube-apiserver does when it starts to use the file (pkg/server/options/encryptionconfig, config.go).
type validation struct {
	decoding
	server   Server
	kmsNames map[string]bool
}

// addProblem adds a fault, unless the field, or one that holds it, could not be decoded.
func (v *validation) addProblem(field, format string, a ...any) {
	for at := field; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if v.wrong[at] {
			return
		}
	}
	if v.wrong[""] {
		return
	}
	v.faults = append(v.faults, v.source.Fault(field, format, a...))
}

func (v *validation) checkConfiguration(w *wireConfiguration) {
	switch {
	case w.APIVersion == APIVersion && w.Kind == Kind:
	case strings.TrimPrefix(w.APIVersion, "/") == legacyAPIVersion && w.Kind == legacyKind:
	default:
		v.addProblem("apiVersion", "want apiVersion: %s and kind: %s", APIVersion, Kind)
	}
	if len(w.Resources) == 0 {
		v.addProblem("resources", "is empty; want at least one rule")
	}
	v.kmsNames = map[string]bool{}
	for i, rule := range w.Resources {
		at := fmt.Sprintf("resources[%d]", i)
		if len(rule.Resources) == 0 {
			v.addProblem(at+".resources", "is empty; want at least one resource")
		}
		v.checkOverlap(at+".resources", rule.Resources)
		for j, r := range rule.Resources {
			switch err := cluster.CheckResource(r); {
			case err == nil:
			case looksLikeKey(r):
				v.addProblem(fmt.Sprintf("%s.resources[%d]", at, j), "%s is not a resource", ShowName(r))
			default:
				v.addProblem(fmt.Sprintf("%s.resources[%d]", at, j), "%v", err)
			}
		}
		if len(rule.Providers) == 0 {
			v.addProblem(at+".providers", "is empty; want at least one provider")
		}
		for j, p := range rule.Providers {
			v.checkProvider(fmt.Sprintf("%s.providers[%d]", at, j), p)
		}
	}
	v.checkMasked(w.Resources)
}

func (v *validation) checkOverlap(field string, resources []string) {
	var duplicate, overlap bool
	for i, a := range resources {
		for j, b := range resources {
			first, second := ParseGroupResource(a), ParseGroupResource(b)
			switch {
			case i == j:
			case first == second:
				duplicate = true
			case first == Everything(), first.Group == second.Group && (first.Resource == "*" || second.Resource == "*"):
				overlap = true
			}
		}
	}
	if duplicate {
		v.addProblem(field, "a resource is listed twice")
	}
	if overlap {
		v.addProblem(field, "a wildcard covers another resource of the list; give it a rule of its own, after the other")
	}
}

func (v *validation) checkProvider(field string, p wireProvider) {
	found := 0
	for _, there := range []bool{p.AESGCM != nil, p.AESCBC != nil, p.Secretbox != nil, p.Identity != nil, p.KMS != nil} {
		if there {
			found++
		}
	}
	switch {
	case found == 0:
		v.addProblem(field, "names no provider: want one of secretbox, aesgcm, aescbc, kms, identity: {}")
	case found > 1:
		v.addProblem(field, "names %d providers; give each an element of its own", found)
	}
	// Only the first of several is looked into further, in this order.
	switch aes := []int{16, 24, 32}; {
	case p.KMS != nil:
		v.checkPlugin(field+".kms", p.KMS)
		v.kmsNames[p.KMS.Name] = true
	case p.AESGCM != nil:
		v.checkKeys(field+".aesgcm.keys", p.AESGCM.Keys, aes)
	case p.AESCBC != nil:
		v.checkKeys(field+".aescbc.keys", p.AESCBC.Keys, aes)
	case p.Secretbox != nil:
		v.checkKeys(field+".secretbox.keys", p.Secretbox.Keys, []int{32})
	}
}

func (v *validation) checkKeys(field string, keys []wireKey, sizes []int) {
	if len(keys) == 0 {
		v.addProblem(field, "is empty; want at least one key")
	}
	for i, k := range keys {
		at := fmt.Sprintf("%s[%d]", field, i)
		if k.Name == "" {
			v.addProblem(at+".name", "is missing")
		}
		if k.Secret == "" {
			v.addProblem(at+".secret", "is missing")
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(k.Secret)
		switch {
		case err != nil:
			v.addProblem(at+".secret", "is not base64 with padding%s", whyNotBase64(k.Secret))
		case !slices.Contains(sizes, len(raw)):
			v.addProblem(at+".secret", "has %d bytes; want %s", len(raw), strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", ", "), "[]"))
		}
	}
}

// whyNotBase64 names the usual reasons, without showing a character of the secret.
func whyNotBase64(s string) string {
	switch {
	case strings.ContainsAny(s, " \t"):
		return "; there is white space in it"
	case strings.ContainsAny(s, "-_"):
		return "; it is the URL-safe kind, which has - and _ in place of + and /"
	case len(s)%4 != 0:
		return "; its length is not a multiple of 4"
	}
	return ""
}

// defaultTimeout is the default timeout of a KMS plugin (k8s.io/apiserver pkg/apis/apiserver/v1, defaults.go).
const defaultTimeout = 3 * time.Second

func (v *validation) checkPlugin(field string, p *wireKMS) {
	version := kmsVersion(p)
	if p.Name == "" {
		v.addProblem(field+".name", "is missing")
	}
	if version != KMSVersion1 && strings.Contains(p.Name, ":") {
		v.addProblem(field+".name", "has a colon")
	}
	if (v.server.Reload || version != KMSVersion1) && v.kmsNames[p.Name] {
		v.addProblem(field+".name", "%s is the name of another KMS plugin", ShowName(p.Name))
	}
	if p.Timeout != nil && (p.Timeout.wrong || p.Timeout.Duration <= 0) {
		v.addProblem(field+".timeout", "want a duration above 0, such as 3s")
	}
	switch u, err := url.Parse(p.Endpoint); {
	case p.Endpoint == "":
		v.addProblem(field+".endpoint", "is missing")
	case err != nil:
		v.addProblem(field+".endpoint", "is not a URL")
	case u.Scheme != "unix":
		v.addProblem(field+".endpoint", "want a socket, such as unix:///run/kms.sock")
	case !canDial(u.Path):
		v.addProblem(field+".endpoint", "gRPC cannot dial this path")
	}
	if version != KMSVersion1 && p.CacheSize != nil {
		v.addProblem(field+".cachesize", "KMS v2 has no cache to size")
	}
	if version == KMSVersion1 && p.CacheSize != nil && *p.CacheSize == 0 {
		v.addProblem(field+".cachesize", "want a number above 0, or a negative one for no cache")
	}
	switch {
	case version != KMSVersion1 && version != KMSVersion2:
		v.addProblem(field+".apiVersion", "want v2")
	case version == KMSVersion1 && !v.server.KMSv1 && p.APIVersion == "":
		v.addProblem(field+".apiVersion", "is missing, which means v1, and kube-apiserver has that off by default; want v2")
	case version == KMSVersion1 && !v.server.KMSv1:
		v.addProblem(field+".apiVersion", "kube-apiserver has v1 off by default; want v2")
	}
}

func kmsVersion(p *wireKMS) string {
	if p.APIVersion == "" {
		return KMSVersion1
	}
	return p.APIVersion
}

// canDial reports whether gRPC accepts the path of a socket as an address. It puts the path into a URL.
func canDial(path string) bool {
	if strings.HasPrefix(path, "/@") {
		path = path[1:]
	}
	_, err := url.Parse("passthrough:///" + path)
	return err == nil
}

// checkMasked reports the rules that come after a wildcard that covers them.
func (v *validation) checkMasked(rules []wireRule) {
	seen := map[GroupResource]bool{}
	for i, rule := range rules {
		for j, r := range rule.Resources {
			gr := ParseGroupResource(r)
			for _, earlier := range []GroupResource{{"*", gr.Group}, Everything()} {
				if seen[earlier] {
					v.addProblem(fmt.Sprintf("resources[%d].resources[%d]", i, j), "%s is masked by the earlier %q; wildcards come last", ShowName(r), earlier)
					break
				}
			}
			seen[gr] = true
		}
	}
}

// toConfiguration returns the configuration of a valid file.
func (w *wireConfiguration) toConfiguration() *Configuration {
	c := &Configuration{Legacy: w.Kind == legacyKind}
	for _, rule := range w.Resources {
		r := Rule{Resources: rule.Resources}
		for _, p := range rule.Providers {
			r.Providers = append(r.Providers, p.toProvider())
		}
		c.Rules = append(c.Rules, r)
	}
	return c
}

func (p wireProvider) toProvider() Provider {
	for _, of := range []struct {
		provider ProviderType
		keys     *wireKeys
	}{{AESGCM, p.AESGCM}, {AESCBC, p.AESCBC}, {Secretbox, p.Secretbox}} {
		if of.keys == nil {
			continue
		}
		keyed := Provider{Type: of.provider}
		for _, k := range of.keys.Keys {
			raw, _ := base64.StdEncoding.DecodeString(k.Secret) // it was looked at
			keyed.Keys = append(keyed.Keys, NewKey(k.Name, raw))
		}
		return keyed
	}
	if p.KMS == nil {
		return Provider{Type: Identity}
	}
	plugin := &KMSPlugin{
		APIVersion: kmsVersion(p.KMS), Unversioned: p.KMS.APIVersion == "",
		Name: p.KMS.Name, Endpoint: p.KMS.Endpoint, Timeout: defaultTimeout,
	}
	if p.KMS.Timeout != nil {
		plugin.Timeout = p.KMS.Timeout.Duration
	}
	if p.KMS.CacheSize != nil {
		plugin.CacheSize = *p.KMS.CacheSize
	} else if plugin.APIVersion == KMSVersion1 {
		plugin.CacheSize = 1000
	}
	return Provider{Type: KMS, Plugin: plugin}
}
