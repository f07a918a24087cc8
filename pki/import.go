package pki

import (
	"bytes"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// MemberFolder is a member and a copy of its folder.
type MemberFolder struct{ Member, Dir string }

// ForeignCluster is a cluster as the folders of its members show it.
type ForeignCluster struct {
	Cluster *cluster.Cluster
	Members []*Foreign
	// Notes say what of the certificates could not be taken over into the spec.
	Notes []string
}

// ReadForeignCluster reads the members' folders, and writes a spec from their certificates
// where c is nil. The layout is the spec's, or that of the tool that made the folders, which
// must be one for all of them.
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
				return nil, fmt.Errorf("%s is of %s, the folders before it of %s", f.Dir, layout, config.Layout)
			}
			config.Layout, files = layout, cluster.FilesOf(layout)
		}
		member, err := ReadForeign(f.Member, f.Dir, files)
		if err != nil {
			return nil, err
		}
		found.Members = append(found.Members, member)
	}
	if c != nil {
		return found, nil
	}
	var yaml []byte
	yaml, found.Notes = ForeignSpec(config, found.Members)
	var err error
	if found.Cluster, err = cluster.Read("the spec made of it", bytes.NewReader(yaml)); err != nil {
		return nil, fmt.Errorf("%w\nwrite a spec by hand, and give it with -f", err)
	}
	return found, nil
}

// AdoptInto checks everything before it makes a folder, and writes nothing with dryRun. An
// *UnfinishedError means that something was written before it failed.
func AdoptInto(dir string, c *cluster.Cluster, adoption Adoption, now time.Time, dryRun bool) error {
	plan := NewPlan(c)
	peeked, err := PeekStore(dir, c)
	if err != nil {
		return err
	}
	err = peeked.CheckAdoption(plan, adoption, now)
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
