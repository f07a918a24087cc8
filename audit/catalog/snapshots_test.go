package catalog_test

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// inFile is a store that was read from a snapshot without fault.
func inFile(change func(*audit.Census), resources ...audit.ResourceCensus) *audit.StoredData {
	return stored(func(c *audit.Census) {
		c.Source = "snapshot.db"
		c.Snapshot = &audit.SnapshotFile{Path: c.Source, Size: 40992, Digest: audit.DigestMatches, PageSize: 4096, Pages: 10}
		c.Residue = &audit.Residue{FreePages: audit.ResidueCount{Scanned: 4096}}
		if change != nil {
			change(c)
		}
	}, resources...)
}

func snapshotFixtures() []fixture {
	secrets := resource("secrets", 0, by(k1, 5))
	holding := func(place func(*audit.Residue) *audit.ResidueCount, resources ...audit.ResourceCensus) *audit.StoredData {
		return inFile(func(c *audit.Census) { place(c.Residue).Resources = resources }, secrets)
	}
	revisions := func(r *audit.Residue) *audit.ResidueCount { return &r.Revisions }
	free := func(r *audit.Residue) *audit.ResidueCount { return &r.FreePages }
	wal := func(r *audit.Residue) *audit.ResidueCount { return &r.WAL }
	files := func(r *audit.Residue) *audit.ResidueCount { return &r.OldFiles }
	expecting := func(t *audit.StoredData, writers ...audit.Writer) *audit.StoredData {
		t.Census.Expected = []audit.EncryptionRule{{Resources: []string{"secrets"}, Writers: writers}}
		return t
	}
	plain := resource("secrets", 7)
	damaged := func(c *audit.Census) {
		c.Complete, c.Reason = false, "the file is damaged"
		c.Snapshot.Partial, c.Snapshot.FaultCount, c.Snapshot.Faults = true, 9, slices.Repeat([]string{"page 7: cut off"}, 9)
		c.Residue.Reason = "the file is damaged: pages that the damage hides are counted as free"
	}
	all := []fixture{
		{check: "snapshot-integrity", name: "whole", target: inFile(nil, secrets), verdict: audit.Pass, evidence: "all 10 pages"},
		{check: "snapshot-integrity", name: "another digest", target: inFile(func(c *audit.Census) { c.Snapshot.Digest = audit.DigestDiffers }, secrets), verdict: audit.Fail, codes: []string{"digest"}},
		{check: "snapshot-integrity", name: "damaged", target: inFile(damaged, secrets), verdict: audit.Fail, codes: []string{"structure"}, evidence: "and 6 more"},
		{check: "snapshot-integrity", name: "both", target: inFile(func(c *audit.Census) { damaged(c); c.Snapshot.Digest = audit.DigestDiffers }, secrets), verdict: audit.Fail, codes: []string{"digest", "structure"}},
		{check: "snapshot-integrity", name: "no digest", target: inFile(func(c *audit.Census) { c.Snapshot.Digest = audit.DigestAbsent }, secrets), verdict: audit.Unknown, evidence: "member/snap/db"},
		{check: "snapshot-integrity", name: "a data dir", target: inFile(func(c *audit.Census) { c.Source, c.Snapshot.Digest = "/var/lib/etcd", audit.DigestAbsent }, secrets), verdict: audit.Skip, evidence: "no SHA-256"},

		{check: "snapshot-plaintext", name: "encrypted", target: inFile(nil, secrets), verdict: audit.Pass},
		{check: "snapshot-plaintext", name: "the current revision", target: inFile(nil, plain), verdict: audit.Fail, codes: []string{"current-secrets"}, evidence: "7 values of secrets"},
		{check: "snapshot-plaintext", name: "older revisions", target: holding(revisions, plain), verdict: audit.Fail, codes: []string{"revisions-secrets"}, evidence: "ns/plain-a"},
		{check: "snapshot-plaintext", name: "older revisions of what is encrypted now", target: inFile(func(c *audit.Census) {
			c.Residue.Revisions.Resources = []audit.ResourceCensus{resource("configmaps", 2)}
		}, secrets, resource("configmaps", 0, by(k1, 1))), verdict: audit.Fail, codes: []string{"revisions-configmaps"}},
		{check: "snapshot-plaintext", name: "Pods are not to be encrypted", target: holding(revisions, resource("pods", 7)), verdict: audit.Pass},
		{check: "snapshot-plaintext", name: "free pages are another check's", target: holding(free, plain), verdict: audit.Pass},
		{check: "snapshot-plaintext", name: "damaged", target: inFile(damaged, secrets), verdict: audit.Unknown, evidence: "damaged"},

		{check: "data-residue", name: "nothing", target: inFile(nil, secrets), verdict: audit.Pass, evidence: "4096 bytes"},
		{check: "data-residue", name: "plaintext", target: holding(free, plain), verdict: audit.Fail, codes: []string{"free-pages-secrets"}, evidence: "(ns/plain-a"},
		{check: "data-residue", name: "plaintext in the log", target: holding(wal, plain), verdict: audit.Fail, codes: []string{"wal-secrets"}},
		{check: "data-residue", name: "plaintext in an old file", target: holding(files, plain), verdict: audit.Fail, codes: []string{"old-files-secrets"}},
		{check: "data-residue", name: "older revisions are another check's", target: holding(revisions, plain), verdict: audit.Pass},
		{check: "data-residue", name: "Pods are not to be encrypted", target: holding(free, resource("pods", 7)), verdict: audit.Pass},
		{check: "data-residue", name: "an old key", target: expecting(holding(free, resource("secrets", 0, by(k1, 1), by(k2, 2))), k2, k1), verdict: audit.Fail,
			codes: []string{"free-pages-secrets-k-1"}, evidence: "1 value of secrets with secretbox k-1 in free pages"},
		{check: "data-residue", name: "an old key in older revisions", target: expecting(holding(revisions, resource("secrets", 0, by(k1, 1))), k2), verdict: audit.Fail, codes: []string{"revisions-secrets-k-1"}},
		{check: "data-residue", name: "the key that encrypts", target: expecting(holding(free, resource("secrets", 0, by(k1, 1))), k1), verdict: audit.Pass},
		{check: "data-residue", name: "nobody said which key", target: holding(free, resource("secrets", 0, by(k1, 1), by(k2, 1))), verdict: audit.Pass},
		{check: "data-residue", name: "values of unknown keys", target: inFile(func(c *audit.Census) { c.Residue.FreePages.Unplaced.Values = 3 }, secrets), verdict: audit.Unknown, evidence: "3 values"},
		{check: "data-residue", name: "another prefix", target: inFile(func(c *audit.Census) { c.Outside = 9 }), verdict: audit.Unknown, evidence: "--etcd-prefix"},
		{check: "data-residue", name: "damaged", target: inFile(damaged, secrets), verdict: audit.Unknown, evidence: "damaged"},
		{check: "data-residue", name: "not looked for", target: inFile(func(c *audit.Census) { c.Residue = nil }, secrets), verdict: audit.Unknown},
	}
	for _, check := range []string{"snapshot-integrity", "snapshot-plaintext", "data-residue"} {
		all = append(all,
			fixture{check: check, name: "a running member", target: stored(nil, secrets), verdict: audit.Skip, evidence: "--snapshot"},
			fixture{check: check, name: "not read", target: &audit.StoredData{Address: "192.0.2.1:2379"}, verdict: audit.Unknown, evidence: "not read"})
	}
	return all
}
