package pki

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// MemberFolder is a member and a copy of its folder.
type MemberFolder struct{ Member, Dir string }

// ParseMemberFolders reads folders that are written as MEMBER=FOLDER. If c is not nil, it must have each
// member.
func ParseMemberFolders(written []string, c *cluster.Cluster) ([]MemberFolder, error) {
	var folders []MemberFolder
	for _, w := range written {
		name, folder, ok := strings.Cut(w, "=")
		if !ok || name == "" || folder == "" {
			return nil, fmt.Errorf("%q: want MEMBER=FOLDER", w)
		}
		if c != nil {
			if _, known := c.Member(name); !known {
				return nil, fmt.Errorf("the spec has no member %q", name)
			}
		}
		folders = append(folders, MemberFolder{Member: name, Dir: folder})
	}
	return folders, nil
}

// ForeignCluster is a cluster whose PKI was read from the folders of its members.
type ForeignCluster struct {
	Cluster *cluster.Cluster
	Members []*Foreign
	// Notes tell what is in the certificates but not in the spec.
	Notes []string
}

// ReadForeignCluster reads the members' folders. If c is nil, it makes a spec from their
// certificates. The layout is the spec's, or that of the tool that made the folders; the same tool
// must have made all of them.
func ReadForeignCluster(c *cluster.Cluster, config SpecConfig, folders []MemberFolder) (*ForeignCluster, error) {
	found := &ForeignCluster{Cluster: c}
	for _, f := range folders {
		var files cluster.Files
		if c != nil {
			m, ok := c.Member(f.Member)
			if !ok {
				return nil, fmt.Errorf("the spec has no member %q", f.Member)
			}
			files = c.Files(m)
		} else {
			layout, err := DetectLayout(f.Dir)
			switch {
			case err != nil:
				return nil, err
			case config.Layout != "" && layout != config.Layout:
				return nil, fmt.Errorf("%s is a PKI of %s, but the folders before it are of %s", f.Dir, layout, config.Layout)
			}
			config.Layout, files = layout, cluster.FilesOf(layout)
		}
		member, err := ReadForeign(f.Member, f.Dir, files)
		if err != nil {
			return nil, err
		}
		found.Members = append(found.Members, member)
	}
	agreeOnCAs(found.Members)
	if c == nil {
		var yaml []byte
		yaml, found.Notes = ForeignSpec(config, found.Members)
		var err error
		if found.Cluster, err = cluster.Read("the spec made from the certificates", bytes.NewReader(yaml)); err != nil {
			return nil, errors.Join(fmt.Errorf("%w%s", err, sharedAddresses(found.Members)), errors.New("write a spec by hand, and give it with -f"))
		}
	}
	found.Notes = append(found.Notes, found.noteIdentities()...)
	return found, nil
}

// sharedAddresses tells, in words, which members have no name of their own; empty if all have one.
func sharedAddresses(members []*Foreign) string {
	names := newForeignNames(members)
	var text string
	for _, p := range members {
		if len(names.of(p).addresses) == 0 {
			text += fmt.Sprintf("\nother members' certificates have all names of %s too, so the certificates do not tell its address", p.Member)
		}
	}
	return text
}

// noteIdentities notes what the certificates have and the spec does not: what renewals keep, and what
// they cannot keep.
func (f *ForeignCluster) noteIdentities() []string {
	var notes []string
	for _, b := range NewPlan(f.Cluster).Bundles {
		at := slices.IndexFunc(f.Members, func(p *Foreign) bool { return b.Path == "nodes/"+p.Member+"/pki" })
		if at < 0 {
			continue
		}
		leaves, err := adoptedLeaves(b, f.Members[at].files)
		if err != nil {
			continue // AdoptInto refuses it
		}
		for _, l := range leaves {
			kept := l.keep(l.cert, identityOf(l.cert))
			if len(kept.kept) > 0 {
				notes = append(notes, fmt.Sprintf("%s has %s, which the spec does not have; renewals keep it until one with --forget-import", l.Name, strings.Join(kept.kept, " ")))
			}
			got, other := namesOf(l.cert)
			if lost := append(got.without(kept.Names).typed(), other...); len(lost) > 0 {
				notes = append(notes, fmt.Sprintf("%s has %s, which the next renewal drops: no spec can have it", l.Name, strings.Join(lost, " ")))
			}
			if l.cert.Subject.CommonName == "" {
				notes = append(notes, fmt.Sprintf("%s has no CN; the next renewal gives it CN=%s", l.Name, l.CommonName))
			}
		}
	}
	return notes
}

// AdoptInto copies the cluster's PKI into the store in dir; with dryRun it only checks that it
// could. An [UnfinishedError] means that it had written something before it failed.
func (f *ForeignCluster) AdoptInto(dir string, now time.Time, dryRun bool) (ImportResult, error) {
	c := f.Cluster
	adoption, err := AdoptForeign(c, NewPlan(c), f.Members)
	if err == nil {
		err = AdoptInto(dir, c, adoption, now, dryRun)
	}
	return ImportResult{
		SchemaVersion: 1, Dir: dir, Cluster: c.Name, Layout: string(c.PKI.Layout), DryRun: dryRun, Spec: string(c.YAML),
		Trust: TrustGraph(f.Members), Weak: Weaknesses(dir, f.Members, now), members: len(f.Members),
	}, err
}

// AdoptInto copies an adoption into the store in dir. It checks everything before it makes a folder,
// and writes nothing with dryRun. An [UnfinishedError] means that it had written something before it
// failed.
func AdoptInto(dir string, c *cluster.Cluster, adoption Adoption, now time.Time, dryRun bool) error {
	plan := NewPlan(c)
	peeked, err := PeekStore(dir, c)
	if err != nil {
		return err
	}
	err = errors.Join(checkNothingLost(dir, c), peeked.CheckAdoption(plan, adoption, now))
	peeked.Close()
	if err != nil || dryRun {
		return err
	}
	store, err := OpenStore(dir, c)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Adopt(plan, c.YAML, adoption, now); err != nil {
		return &UnfinishedError{err}
	}
	return nil
}

// checkNothingLost refuses a spec that lacks a member or a client of the store's own spec: an adoption adds to a
// store, and the spec that it writes would take away.
func checkNothingLost(dir string, c *cluster.Cluster) error {
	own := filepath.Join(dir, SpecName)
	there, err := cluster.Load(own)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the spec of the store: %w", err)
	}
	var lost []string
	for _, m := range there.Etcd.Members {
		if _, ok := c.Member(m.Name); !ok {
			lost = append(lost, "member "+m.Name)
		}
	}
	for _, client := range there.Clients {
		if !slices.ContainsFunc(c.Clients, func(o cluster.Client) bool { return o.Name == client.Name }) {
			lost = append(lost, "client "+client.Name)
		}
	}
	if lost == nil {
		return nil
	}
	return fmt.Errorf("%s has %s, which the import does not have, and would replace that spec: import all members again, or give the store's own spec with -f", own, strings.Join(lost, ", "))
}
