package lint

import "github.com/etcdsec/etcdsec/manifests/encryption"

// writers returns the providers that encrypt new values of a rule's resources.
func (s *Subject) writers() []place {
	var list []place
	for _, p := range s.listPlaces(false) {
		if p.p.Type != encryption.Identity && s.isWriter(p) {
			list = append(list, p)
		}
	}
	return list
}

func (s *Subject) isWriter(p place) bool {
	if p.provider > 0 {
		return false
	}
	for _, r := range s.Configuration.Rules[p.rule].Resources {
		if s.Configuration.RulesFor(encryption.ParseGroupResource(r))[0] == p.rule {
			return true
		}
	}
	return false
}
