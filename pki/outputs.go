package pki

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Check returns an error if two things of the plan have one name or one path, or if one's path is a folder of
// another's. No valid spec makes such a plan; with it, one certificate would replace another in silence. more
// are files that go into the store beside the certificates, by their paths in the store.
func (p Plan) Check(more []durable.File) error {
	var faults []error
	names := map[string]LeafID{}
	ids := map[LeafID]bool{}
	for l := range p.leaves() {
		if other, twice := names[l.Name]; twice {
			faults = append(faults, fmt.Errorf("%+v and %+v have one name, %s", other, l.ID, l.Name))
		}
		if ids[l.ID] {
			faults = append(faults, fmt.Errorf("%s is there twice", l.Name))
		}
		names[l.Name], ids[l.ID] = l.ID, true
	}
	taken := map[string]bool{}
	var paths []string
	take := func(at string) {
		if taken[at] {
			faults = append(faults, fmt.Errorf("two outputs are %s", at))
		}
		taken[at] = true
		paths = append(paths, at)
	}
	for _, name := range []string{SpecName, ledgerName, headName} {
		take(name)
	}
	for _, a := range p.Authorities {
		take(a.Path())
	}
	for _, b := range p.Bundles {
		take(b.Path) // its files change as a whole, so nothing else may be in it
		faults = append(faults, b.check())
	}
	for _, f := range more {
		take(f.Name)
	}
	faults = append(faults, nested(paths, taken)...)
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("planning the outputs: %w", err)
	}
	return nil
}

// outputs returns the paths of everything that is made for the holder of a bundle, below its folder: its
// files, and the requests for them.
func (b Bundle) outputs() []string {
	var outputs []string
	for _, t := range b.Trust {
		outputs = append(outputs, t.Name)
	}
	for _, l := range b.Leaves {
		outputs = append(outputs, l.CertFile, l.CSRFile)
		if l.KeyFile != l.CertFile {
			outputs = append(outputs, l.KeyFile)
		}
	}
	for _, f := range b.CRLs {
		outputs = append(outputs, f.Name)
		if f.SignerFile != "" {
			outputs = append(outputs, f.SignerFile)
		}
	}
	return outputs
}

// check is [Plan.Check] for the files of one bundle.
func (b Bundle) check() error {
	var faults []error
	taken := map[string]bool{}
	outputs := b.outputs()
	for _, at := range outputs {
		if taken[at] {
			faults = append(faults, fmt.Errorf("two files of %s are %s", b.Path, at))
		}
		taken[at] = true
	}
	return errors.Join(append(faults, nested(outputs, taken)...)...)
}

// nested returns a fault for each path that is in a folder which is another output.
func nested(paths []string, taken map[string]bool) []error {
	var faults []error
	for _, at := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		for above := path.Dir(at); above != "." && above != "/"; above = path.Dir(above) {
			if taken[above] {
				faults = append(faults, fmt.Errorf("%s would be in %s, which is another output", at, above))
			}
		}
	}
	return faults
}
