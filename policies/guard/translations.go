package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// RulesFor returns those rules of this network namespace by which it is known what differs from the wanted
// ones and, on the host of a member, what sends its connections elsewhere.
func (n Nft) RulesFor(ctx context.Context, i *policies.Intent, f policies.NodeFilter) (*nft.Ruleset, error) {
	live, sure, err := n.neededRules(ctx, i, f)
	if sure || err != nil {
		return live, err
	}
	if live, err = n.Ruleset(ctx); err != nil {
		return nil, err
	}
	if err := joinLegacy(ctx, live); err != nil {
		return nil, err
	}
	return live, joinIptables(ctx, live)
}

// maxParts bounds what is listed one by one; more of it is listed faster as a whole.
const maxParts = 256

// neededRules lists the wanted tables, and of all others only the chains and sets that a connection to the
// member meets before its address is translated: the rules of ten thousand Services take seconds. Which
// tables are dormant nft lists only with all of their rules, so they count as if they were not. sure is
// false if only all rules together tell, because of many parts, or because something changed meanwhile.
func (n Nft) neededRules(ctx context.Context, i *policies.Intent, f policies.NodeFilter) (live *nft.Ruleset, sure bool, err error) {
	before, err := generation()
	if err != nil {
		return nil, false, nil //nolint:nilerr // then everything is listed at once
	}
	out, err := n.run(ctx, nil, "-j", "list", "chains")
	if err != nil {
		return nil, false, err
	}
	if live, err = nft.ParseChains(out); err != nil {
		return nil, false, err
	}
	if err := n.listTables(ctx, live, f.Rules(i)); err != nil {
		return nil, false, n.unlessChanged(err, before)
	}
	if !f.Member {
		return live, true, nil
	}
	if err := joinLegacy(ctx, live); err != nil {
		return nil, false, err
	}
	completed := false
	for listed := 0; ; {
		unlisted, translated := policies.UnlistedTranslations(i, f, live)
		if len(unlisted) == 0 && translated && !completed {
			// What a rule looks at besides may show that it does not meet the connections.
			if err := joinIptables(ctx, live); err != nil {
				return nil, false, n.unlessChanged(err, before)
			}
			completed = true
			continue
		}
		if len(unlisted) == 0 {
			after, err := generation()
			return live, err == nil && after == before, nil
		}
		if listed += len(unlisted); listed > maxParts {
			return nil, false, nil
		}
		for _, p := range unlisted {
			out, err := n.run(ctx, nil, "-j", "list", p.Kind, p.Family, p.Table, p.Name)
			if err != nil {
				return nil, false, n.unlessChanged(err, before)
			}
			if err := live.Add(p, out); err != nil {
				return nil, false, err
			}
		}
	}
}

// unlessChanged returns an error, unless the rules have changed meanwhile, which may be its cause.
func (n Nft) unlessChanged(err error, before uint32) error {
	if after, failed := generation(); failed == nil && after != before {
		return nil
	}
	return err
}

// listTables lists the wanted tables of a ruleset as a whole, and the one under the former name.
func (n Nft) listTables(ctx context.Context, live, wanted *nft.Ruleset) error {
	for at, t := range live.Tables {
		if !isWanted(t, wanted) {
			continue
		}
		table, err := n.list(ctx, "table", t.Family, t.Name)
		if err != nil {
			return err
		}
		if len(table.Tables) != 1 {
			return fmt.Errorf("running nft list table %s %s: lists %d tables", t.Family, t.Name, len(table.Tables))
		}
		live.Tables[at] = table.Tables[0]
	}
	return nil
}

// joinIptables completes rules with the parameters of iptables that nft does not list, where iptables-save
// is installed. Where the rules change meanwhile, they stay without.
func joinIptables(ctx context.Context, live *nft.Ruleset) error {
	for _, family := range live.NeedsIptables() {
		saved, err := readSaved(ctx, family, nft.NfTables)
		if err != nil {
			return err
		}
		if saved == nil {
			continue
		}
		saved.LegacyElsewhere = false // joinLegacy has asked the kernel
		err = live.Join(saved)
		if _, changed := errors.AsType[*nft.MismatchError](err); err != nil && !changed {
			return err
		}
	}
	return nil
}

// joinLegacy adds the rules of iptables-legacy, which nft does not list.
func joinLegacy(ctx context.Context, live *nft.Ruleset) error {
	for family, path := range map[string]string{"ip": "/proc/net/ip_tables_names", "ip6": "/proc/net/ip6_tables_names"} {
		names, err := os.ReadFile(path) //nolint:gosec // one of the two
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
			continue
		}
		var saved *nft.Iptables
		if err == nil {
			saved, err = readSaved(ctx, family, nft.LegacyTables)
		}
		if err == nil && saved != nil {
			err = live.Join(saved)
		}
		if err != nil {
			return fmt.Errorf("reading the rules of iptables-legacy: %w", err)
		}
		if saved == nil {
			live.LegacyUnread = append(live.LegacyUnread, family)
		}
	}
	return nil
}

// readSaved returns the rules of a family that a keeper has, or nothing if no program for them is installed.
func readSaved(ctx context.Context, family string, keeper nft.IptablesKeeper) (*nft.Iptables, error) {
	program := map[string]string{"ip": "iptables", "ip6": "ip6tables"}[family]
	kind := map[nft.IptablesKeeper]string{nft.NfTables: "-nft", nft.LegacyTables: "-legacy"}[keeper]
	for _, name := range []string{program + kind + "-save", program + "-save"} {
		path := findTool(name)
		if path == "" {
			continue
		}
		out, err := run(ctx, path, nil)
		if err != nil {
			return nil, err
		}
		if len(strings.TrimSpace(string(out))) == 0 {
			continue
		}
		saved, err := nft.ParseIptables(out)
		if err != nil {
			return nil, fmt.Errorf("running %s: %w", name, err)
		}
		if saved.Keeper == keeper {
			return saved, nil
		}
	}
	return nil, nil //nolint:nilnil // it is not installed
}

// findTool finds a program, even in system folders that are missing from a user's PATH. It returns nothing
// if there is none.
func findTool(name string) string {
	for _, name := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		// A relative entry of PATH is an error of its own, and is not run as root.
		if path, err := exec.LookPath(name); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	return ""
}
