package main

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	encryption "github.com/etcdsec/etcdsec/manifests/encryption/lint"
	policies "github.com/etcdsec/etcdsec/policies/lint"
)

// allChecks returns the checks of the audit's catalog, then those of "encryption lint" and of
// "policies prove".
func allChecks() []audit.About {
	return slices.Concat(audit.Abouts(catalog.All()), audit.Abouts(encryption.Checks()), audit.Abouts(policies.Checks()))
}

func findCheck(id string) (audit.About, bool) {
	all := allChecks()
	at := slices.IndexFunc(all, func(c audit.About) bool { return c.ID == id })
	if at < 0 {
		return audit.About{}, false
	}
	return all[at], true
}

// nearChecks returns the IDs that are spelt almost like id.
func nearChecks(id string) []string { return catalog.NearIn(allChecks(), id) }
