package kube

import (
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit/collect"
)

// Targets returns what there is to audit in a cluster beside the given endpoints. An endpoint that is
// given already is not added again.
func (f *Found) Targets(given []collect.Endpoint, minTLSVersion uint16, now time.Time) collect.HostAudit {
	endpoints := slices.Clone(given)
	for _, e := range f.Endpoints {
		e.MinTLSVersion = minTLSVersion
		if !slices.ContainsFunc(endpoints, func(known collect.Endpoint) bool { return known.Address == e.Address }) {
			endpoints = append(endpoints, e)
		}
	}
	settings := slices.Clone(f.Unread)
	for _, s := range f.Settings {
		target := collect.SettingsTarget(s, minTLSVersion, now)
		for _, e := range f.Elsewhere {
			if e.Of == s {
				target.Elsewhere = append(target.Elsewhere, e.Fault)
			}
		}
		settings = append(settings, target)
	}
	return collect.HostAudit{Endpoints: endpoints, Settings: settings, Unseen: f.Unseen}
}
