// Package guard changes the packet filter of this host, and undoes the change by itself unless
// somebody confirms it in time. It runs nft(8), never a shell.
package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// Nft is the path of nft(8).
type Nft string

// ErrNotPermitted means that the kernel refused: only root may see and change the packet filter.
var ErrNotPermitted = errors.New("only root may see and change the packet filter")

// ErrNoNft means that nft(8) is not installed.
var ErrNoNft = errors.New("nft is not installed")

// FindNft finds nft(8), even in system folders that are missing from a user's PATH.
func FindNft() (Nft, error) {
	if path := findTool("nft"); path != "" {
		return Nft(path), nil
	}
	return "", ErrNoNft
}

// patience bounds one run of nft. A transaction of this size takes milliseconds.
const patience = 30 * time.Second

// Ruleset returns everything that is loaded in this network namespace.
func (n Nft) Ruleset(ctx context.Context) (*nft.Ruleset, error) { return n.list(ctx, "ruleset") }

// Tables returns those tables of a ruleset that are loaded in this network namespace, and the table
// under the former name. It does not list the others: the rules of ten thousand Services take seconds.
func (n Nft) Tables(ctx context.Context, wanted *nft.Ruleset) (*nft.Ruleset, error) {
	names, err := n.list(ctx, "tables")
	if err != nil {
		return nil, err
	}
	live := &nft.Ruleset{}
	for _, w := range names.Tables {
		if !isWanted(w, wanted) {
			continue
		}
		table, err := n.list(ctx, "table", w.Family, w.Name)
		if err != nil {
			return nil, err
		}
		live.Tables = append(live.Tables, table.Tables...)
	}
	return live, nil
}

// isWanted reports whether a table is one of the wanted ones, or has the former name.
func isWanted(t nft.Table, wanted *nft.Ruleset) bool {
	return t.Family == "inet" && t.Name == policies.FormerNftablesTable ||
		slices.ContainsFunc(wanted.Tables, func(w nft.Table) bool { return t.Family == w.Family && t.Name == w.Name })
}

func (n Nft) list(ctx context.Context, what ...string) (*nft.Ruleset, error) {
	out, err := n.run(ctx, nil, append([]string{"-j", "list"}, what...)...)
	if err != nil {
		return nil, err
	}
	found, err := nft.Parse(out)
	if err != nil || what[0] == "tables" {
		return found, err
	}
	for i := range found.Tables {
		if err := n.readFlags(ctx, &found.Tables[i]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// readFlags reads from nft's own words whether a table is dormant, if its JSON does not tell.
func (n Nft) readFlags(ctx context.Context, t *nft.Table) error {
	if !t.MaybeDormant {
		return nil
	}
	out, err := n.run(ctx, nil, "list", "table", t.Family, t.Name)
	if err != nil {
		return err
	}
	// The flags are on the second line (nftables src/rule.c, table_print).
	_, rest, _ := strings.Cut(string(out), "\n")
	line, _, _ := strings.Cut(rest, "\n")
	if flags, is := strings.CutPrefix(line, "\tflags "); is {
		t.MaybeDormant = false
		t.Dormant = slices.Contains(strings.FieldsFunc(flags, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }), "dormant")
	}
	return nil
}

// Restore returns a text for nft that restores a table to its current state, or removes it if it
// does not exist now.
func (n Nft) Restore(ctx context.Context, live *nft.Ruleset, family, name string) ([]byte, error) {
	text := fmt.Appendf(nil, "table %s %s\ndelete table %[1]s %[2]s\n", family, name)
	for _, t := range live.Tables {
		if t.Family == family && t.Name == name {
			// nft's own words, not ours: somebody may have put into it what we do not know.
			table, err := n.run(ctx, nil, "list", "table", family, name)
			if err != nil {
				return nil, err
			}
			text = append(text, table...)
		}
	}
	return text, nil
}

// Check returns the error that Load would return, and changes nothing.
func (n Nft) Check(ctx context.Context, text []byte) error {
	_, err := n.run(ctx, text, "-c", "-f", "-")
	return err
}

// Load runs a text as one transaction: all of it or nothing.
func (n Nft) Load(ctx context.Context, text []byte) error {
	_, err := n.run(ctx, text, "-f", "-")
	return err
}

func (n Nft) run(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	return run(ctx, string(n), stdin, args...)
}

// run runs nft(8) or a program of iptables, which need the same permission, and returns what it prints.
func run(ctx context.Context, path string, stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // with arguments from here
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	cmd.Env = []string{"LC_ALL=C"} // for those who read an error of it
	out, errs := &bounded{limit: nft.MaxDump}, &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	err := cmd.Run()
	what := strings.Join(append([]string{filepath.Base(path)}, args...), " ")
	switch {
	case err == nil:
		return out.Bytes(), nil
	case !mayAdministerNetwork():
		return nil, fmt.Errorf("running %s: %w", what, ErrNotPermitted)
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	first, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
	return nil, fmt.Errorf("running %s: %w: %.300q", what, err, first)
}

// mayAdministerNetwork reports whether this process, and so what it runs, has CAP_NET_ADMIN,
// without which the kernel refuses whatever nft asks (nf_tables_api.c, nfnetlink_rcv).
func mayAdministerNetwork() bool {
	var sets [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return true // nft's own words then say what is wrong
	}
	return sets[unix.CAP_NET_ADMIN/32].Effective&(1<<(unix.CAP_NET_ADMIN%32)) != 0
}

// bounded keeps the output of a program, and stops the program if there is too much.
type bounded struct {
	bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, io.ErrShortBuffer
	}
	return b.Buffer.Write(p)
}
