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
func everyCheck() []audit.Check {
	return slices.Concat(catalog.All(), encryption.Catalog(), policies.Catalog())
}

func findCheck(id string) (audit.Check, bool) {
	all := everyCheck()
	at := slices.IndexFunc(all, func(c audit.Check) bool { return c.ID == id })
	if at < 0 {
		return audit.Check{}, false
	}
	return all[at], true
}

// nearChecks are the IDs that somebody who typed another may have meant.
func nearChecks(id string) []string { return catalog.NearIn(everyCheck(), id) }
