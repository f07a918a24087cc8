package main

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	encryption "github.com/etcdsec/etcdsec/manifests/encryption/lint"
	policies "github.com/etcdsec/etcdsec/policies/lint"
)

// everyCheck is the catalog of the audit, and then the checks of "encryption lint" and of
// "policies prove".
func everyCheck() []audit.About {
	return slices.Concat(audit.Abouts(catalog.All()), audit.Abouts(encryption.Checks()), audit.Abouts(policies.Checks()))
}

func findCheck(id string) (audit.About, bool) {
	all := everyCheck()
	at := slices.IndexFunc(all, func(c audit.About) bool { return c.ID == id })
	if at < 0 {
		return audit.About{}, false
	}
	return all[at], true
}

// nearChecks are the IDs that somebody who typed another may have meant.
func nearChecks(id string) []string { return catalog.NearIn(everyCheck(), id) }
