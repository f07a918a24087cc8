package policies

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// UnitSetting is a line of a unit file that decides about packets beside the lists of addresses.
type UnitSetting struct{ Key, Value string }

func (s UnitSetting) String() string { return s.Key + "=" + s.Value }

// The settings of units that limit what etcd sends and receives (systemd.resource-control(5),
// systemd.exec(5), systemd.unit(5)).
const (
	unitPrivateNetwork = "PrivateNetwork"
	unitInterfaces     = "RestrictNetworkInterfaces"
	unitFamilies       = "RestrictAddressFamilies"
)

// unreadUnitSettings lists those that are not followed: programs in the kernel, other network
// namespaces, and ports to which a unit may bind.
func unreadUnitSettings() []string {
	return []string{"NetworkNamespacePath", "JoinsNamespaceOf", "IPIngressFilterPath", "IPEgressFilterPath", "BPFProgram", "SocketBindDeny"}
}

// isUnitSetting reports whether a key of a section decides about packets.
func isUnitSetting(section, key string) bool {
	if section == "[Unit]" {
		return key == "JoinsNamespaceOf"
	}
	return slices.Contains(unreadUnitSettings(), key) || slices.Contains([]string{unitPrivateNetwork, unitInterfaces, unitFamilies}, key)
}

// UnitFilter combines all files of a member's unit and of the slices that it is in.
type UnitFilter struct {
	Unit        string
	Allow, Deny []netip.Prefix
	// Private is set if the unit has a network namespace of its own, in which nobody reaches it.
	Private bool
	// Interfaces and Families limit these unless they are nil.
	Interfaces, Families *UnitList
	// Unread lists the settings of which it is not known what they do.
	Unread []string
	// Program is what the unit starts; empty if no file says it.
	Program string
}

// programOf returns the program of a line of ExecStart, without the marks before it
// (systemd.service(5)).
func programOf(line string) string {
	line = strings.TrimLeft(line, "@-:+!|")
	if quote := strings.IndexAny(line, `"'`); quote == 0 {
		program, _, _ := strings.Cut(line[1:], line[:1])
		return program
	}
	program, _, _ := strings.Cut(line, " ")
	return program
}

// StartsOther reports whether the unit starts another program than etcd, such as a container engine,
// nsenter or a shell. etcd may then run outside of the unit, or in another network namespace.
func (f *UnitFilter) StartsOther() bool {
	name := filepath.Base(f.Program)
	return f.Program != "" && name != "etcd" && !strings.HasPrefix(name, "etcd-")
}

// UnitList holds the names that a setting allows or, with Except, denies.
type UnitList struct {
	Setting string // as it is written
	Names   []string
	Except  bool
}

// Allows reports whether a list lets something pass.
func (l *UnitList) Allows(name string) bool { return slices.Contains(l.Names, name) != l.Except }

// MergeUnits returns what the files of one member say together. systemd reads the unit file first and
// then its drop-ins by their names; an empty value empties what the files before it have set. The lists
// of addresses of a slice count beside those of the unit, and each of the two has its own.
func MergeUnits(units []SystemdDropIn) UnitFilter {
	sorted := slices.Clone(units)
	slices.SortStableFunc(sorted, func(a, b SystemdDropIn) int {
		return cmp.Or(cmp.Compare(rankOfUnit(a), rankOfUnit(b)), cmp.Compare(a.Unit, b.Unit))
	})
	var f UnitFilter
	var own, slice struct{ allow, deny []netip.Prefix }
	ofSlices, within := 0, ""
	for _, u := range sorted {
		f.Program, within = cmp.Or(u.Program, f.Program), cmp.Or(u.Within, within)
		f.Unit = u.Unit
		to := &own
		if u.Slice {
			to = &slice
			if ofSlices++; ofSlices > 1 && (u.EmptiesAllow || u.EmptiesDeny) {
				f.Unread = append(f.Unread, "an empty list of "+u.Unit+", of which it is not known whether it is for the same slice as the files before it")
			}
		}
		if u.EmptiesAllow {
			to.allow = nil
		}
		if u.EmptiesDeny {
			to.deny = nil
		}
		to.allow, to.deny = append(to.allow, u.Allow...), append(to.deny, u.Deny...)
		for _, s := range u.Settings {
			f.take(s)
		}
	}
	if !f.Private {
		// Without a namespace of its own, a unit has none to share.
		f.Unread = slices.DeleteFunc(f.Unread, func(u string) bool { return strings.HasPrefix(u, "JoinsNamespaceOf=") })
	}
	if within != "" && ofSlices == 0 {
		f.Unread = append(f.Unread, "Slice="+within+", of which no file was given")
	}
	f.Allow, f.Deny = append(own.allow, slice.allow...), append(own.deny, slice.deny...)
	return f
}

func rankOfUnit(u SystemdDropIn) int {
	if strings.HasSuffix(u.Unit, ".conf") {
		return 1
	}
	return 0
}

// take adds one setting.
func (f *UnitFilter) take(s UnitSetting) {
	switch {
	case s.Key == unitPrivateNetwork:
		f.Private = isYes(s.Value)
	case s.Key == unitInterfaces:
		f.Interfaces = f.Interfaces.extend(s)
	case s.Key == unitFamilies:
		f.Families = f.Families.extend(s)
	case s.Value == "":
		f.Unread = slices.DeleteFunc(f.Unread, func(u string) bool { return strings.HasPrefix(u, s.Key+"=") })
	default:
		f.Unread = append(f.Unread, s.String())
	}
}

func isYes(value string) bool {
	return slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, strings.ToLower(value))
}

func isNo(value string) bool {
	return slices.Contains([]string{"", "0", "no", "n", "false", "f", "off"}, strings.ToLower(value))
}

// extend adds the names of one more line. The first line decides whether the list allows or denies, and
// a line of the other sort removes its names.
func (l *UnitList) extend(s UnitSetting) *UnitList {
	if s.Value == "" {
		return nil
	}
	names, except := strings.CutPrefix(s.Value, "~")
	if l == nil {
		l = &UnitList{Setting: s.String(), Except: except}
	}
	for _, name := range strings.Fields(names) {
		switch {
		case name == "none": // of families: none at all
		case except == l.Except:
			l.Names = append(l.Names, name)
		default:
			l.Names = slices.DeleteFunc(l.Names, func(n string) bool { return n == name })
		}
	}
	return l
}

// unitKind reports what a file says about itself by its sections: the settings of a slice count for
// every unit in it.
func unitKind(file string, sections []string) (slice bool, err error) {
	service := slices.Contains(sections, "[Service]") || slices.Contains(sections, "[Scope]")
	slice = slices.Contains(sections, "[Slice]")
	switch {
	case service && slice:
		return false, fmt.Errorf("%s: has both a section [Service] and a section [Slice], and systemd reads only one of them", filepath.Base(file))
	case !service && !slice:
		return false, fmt.Errorf("%s: has neither a section [Service] nor a section [Slice], which limit etcd", filepath.Base(file))
	}
	return slice, nil
}
