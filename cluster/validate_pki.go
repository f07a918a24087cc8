package cluster

import (
	"fmt"
	"time"
)

func (v *validator) pki(config PKIConfig) PKI {
	p := PKI{
		KeyAlgorithm:    oneOf(v, "spec.pki.keyAlgorithm", config.KeyAlgorithm, ECDSAP256, KeyAlgorithms()),
		Hierarchy:       oneOf(v, "spec.pki.hierarchy", config.Hierarchy, Issuing, Hierarchies()),
		Layout:          oneOf(v, "spec.pki.layout", config.Layout, LayoutEtcdsec, Layouts()),
		RootLifetime:    v.lifetime("spec.pki.rootLifetime", config.RootLifetime, 87600*time.Hour),
		IssuingLifetime: v.lifetime("spec.pki.issuingLifetime", config.IssuingLifetime, 8760*time.Hour),
		LeafLifetime:    v.lifetime("spec.pki.leafLifetime", config.LeafLifetime, 2160*time.Hour),
		CRL:             config.CRL,
	}
	for i, s := range config.PermittedNames {
		r, err := ParseRange(s)
		if err != nil {
			v.fault(fmt.Sprintf("spec.pki.permittedNames[%d]", i), "%v", err)
			continue
		}
		if why := notOneSite(r.Prefix); r.Prefix.IsValid() && why != "" {
			v.fault(fmt.Sprintf("spec.pki.permittedNames[%d]", i), "%s %s", r, why)
		}
		p.PermittedNames = append(p.PermittedNames, r)
	}
	if p.Layout == LayoutKubeadm && p.KeyAlgorithm == Ed25519 {
		// client-go util/keyutil ParsePrivateKeyPEM, which kubeadm loads keys with.
		v.fault("spec.pki.keyAlgorithm", "kubeadm loads only RSA and ECDSA keys; want one of these with layout kubeadm")
	}
	p.ExternalKeys = v.externalKeys(config.ExternalKeys)
	if p.Hierarchy != Issuing {
		p.IssuingLifetime = p.RootLifetime
	}
	if p.IssuingLifetime > p.RootLifetime {
		v.fault("spec.pki.issuingLifetime", "%s is longer than the root's %s", p.IssuingLifetime, p.RootLifetime)
	}
	if p.LeafLifetime > p.IssuingLifetime {
		v.fault("spec.pki.leafLifetime", "%s is longer than its issuer's %s", p.LeafLifetime, p.IssuingLifetime)
	}
	return p
}

// authorities returns the names of the authorities that can have an external key.
func authorities() []string {
	return []string{"client-root", "peer-root", "server-issuing", "client-issuing", "peer-issuing"}
}

func (v *validator) externalKeys(config []ExternalKeyConfig) []ExternalKey {
	var keys []ExternalKey
	seen := map[string]bool{}
	for i, given := range config {
		at := fmt.Sprintf("spec.pki.externalKeys[%d]", i)
		oneOf(v, at+".authority", given.Authority, "", authorities())
		if seen[given.Authority] {
			v.fault(at+".authority", "%q is given twice", given.Authority)
		}
		seen[given.Authority] = true
		if len(given.Exec) == 0 || given.Exec[0] == "" {
			v.fault(at+".exec", "is empty; it is the program that signs, and its arguments")
		}
		if given.Key == "" {
			v.fault(at+".key", "is missing; it is the name by which the program knows the key")
		}
		keys = append(keys, ExternalKey(given))
	}
	return keys
}

// shortestLifetime leaves time for the backdated NotBefore, and for a renewal at two thirds.
const shortestLifetime = time.Hour

// longestLifetime keeps NotAfter in the four-digit years of X.509 (RFC 5280, 4.1.2.5).
const longestLifetime = 100 * 8760 * time.Hour

func (v *validator) lifetime(field, given string, otherwise time.Duration) time.Duration {
	if given == "" {
		return otherwise
	}
	d, err := time.ParseDuration(given)
	switch {
	case err != nil:
		v.fault(field, "%q is not a duration; write it in hours, such as 2160h", given)
		return otherwise
	case d < shortestLifetime:
		v.fault(field, "%s is shorter than %s", d, shortestLifetime)
		return otherwise
	case d > longestLifetime:
		v.fault(field, "%s is longer than 100 years", d)
		return otherwise
	}
	return d
}
