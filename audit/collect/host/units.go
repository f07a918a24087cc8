package host

import (
	"path"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// unitDirs returns the folders where systemd looks for units, the most important first
// (systemd.unit(5)).
func unitDirs() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// units finds the services. A service that does not run and that nothing starts at boot says
// nothing about this host. Which of them run is known later, so units only marks them.
func (c *collector) units() []*invocation {
	var found []*invocation
	var seen []string
	for _, dir := range unitDirs() {
		names, err := c.host.names(dir, maxNames)
		if err != nil {
			c.missUnlessAbsent(dir, err)
			continue
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".service") || strings.HasSuffix(name, "@.service") || slices.Contains(seen, name) {
				continue
			}
			seen = append(seen, name)
			if c.isAlias(name, path.Join(dir, name)) {
				continue
			}
			if inv := c.unit(name, path.Join(dir, name)); inv != nil {
				found = append(found, inv)
			}
		}
	}
	for _, link := range c.enabledLinks() {
		name := path.Base(link)
		if slices.Contains(seen, name) {
			continue
		}
		seen = append(seen, name) // an instance of a template
		if inv := c.unit(name, link); inv != nil {
			found = append(found, inv)
		}
	}
	return found
}

// isAlias reports whether a unit is a link to a unit of another name, which is read under that
// name.
func (c *collector) isAlias(name, at string) bool {
	resolved, err := c.host.resolve(at)
	target := path.Base(resolved)
	return err == nil && target != name && strings.HasSuffix(target, ".service") && !strings.HasSuffix(target, "@.service")
}

// enabledLinks returns the links to the services that something starts.
func (c *collector) enabledLinks() []string {
	if c.enabledUnits != nil {
		return c.enabledUnits
	}
	c.enabledUnits = []string{}
	for _, dir := range unitDirs() {
		names, err := c.host.names(dir, maxNames)
		if err != nil {
			continue // said where the units are looked for
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".wants") && !strings.HasSuffix(name, ".requires") && !strings.HasSuffix(name, ".upholds") {
				continue
			}
			links, err := c.host.names(path.Join(dir, name), maxNames)
			if err != nil {
				c.miss(path.Join(dir, name), err)
			}
			for _, link := range links {
				if strings.HasSuffix(link, ".service") {
					c.enabledUnits = append(c.enabledUnits, path.Join(dir, name, link))
				}
			}
		}
	}
	return c.enabledUnits
}

// unreadUnit notes a service that could not be read. One that nothing starts says nothing about
// the host.
func (c *collector) unreadUnit(name, at string, err error) {
	if c.isEnabled(name) {
		c.missUnlessAbsent(at, err)
	} else if !isNotThere(err) {
		c.fault(at, err)
	}
}

// isEnabled reports whether something starts a service without being asked.
func (c *collector) isEnabled(name string) bool {
	return slices.ContainsFunc(c.enabledLinks(), func(link string) bool { return path.Base(link) == name })
}

// unit reads a service with its drop-ins and its environment files.
func (c *collector) unit(name, at string) *invocation {
	info, err := c.host.stat(at)
	if err != nil {
		c.unreadUnit(name, at, err)
		return nil
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil // masked, by a link to /dev/null or an empty file
	}
	data, err := c.host.readFile(at, maxFile)
	if err != nil {
		c.unreadUnit(name, at, err)
		return nil
	}
	if !namesProgram(name) && !namesProgram(string(data)) {
		return nil
	}
	specifiers := specifiersOf(name, c.hostname)
	u := &unit{}
	u.apply(parseUnit(data), specifiers)
	files := []file{{at, audit.UnitFile}}
	dropIns, faults := c.dropIns(name)
	for _, dropIn := range dropIns {
		data, err := c.host.readFile(dropIn, maxFile)
		if err != nil {
			faults = append(faults, unreadDropIn(dropIn, err)...)
			continue
		}
		u.apply(parseUnit(data), specifiers)
		files = append(files, file{dropIn, audit.UnitFile})
	}
	readFile := func(name string) ([]byte, error) { return c.host.readFile(name, maxScript) }
	if u.invocation(readFile) == nil {
		return nil
	}
	more, unread := c.environmentFiles(u)
	inv := u.invocation(readFile) // with what those files put into the command line
	if inv == nil {
		return nil
	}
	inv.origin = name
	if len(faults) > 0 {
		inv.sandbox = nil
	}
	inv.faults = slices.Concat(inv.faults, faults, unread)
	inv.files = append(files, more...)
	if inv.program == etcd && path.IsAbs(inv.binary) && !inv.script {
		inv.version = c.versionOf(inv.binary)
	}
	inv.view = &view{host: c.host, dir: path.Join("/", u.workingDir)}
	inv.view.mounts, inv.view.elsewhere = u.mounts()
	return inv
}

func namesProgram(text string) bool {
	return slices.ContainsFunc(programs(), func(p string) bool { return strings.Contains(text, p) })
}

// dropIns returns the *.conf files of NAME.d in the order of their names. Of files with one
// name the first counts. A template's drop-ins are also its instances'. The faults say which of
// the folders could not be listed.
func (c *collector) dropIns(name string) ([]string, []audit.Fault) {
	owners := []string{name}
	if before, _, found := strings.Cut(name, "@"); found {
		owners = append(owners, before+"@.service")
	}
	owners = append(owners, "service") // of all services
	byName := map[string]string{}
	var order []string
	var faults []audit.Fault
	for _, owner := range owners {
		for _, dir := range unitDirs() {
			names, err := c.host.names(path.Join(dir, owner+".d"), maxNames)
			if err != nil {
				if !isNotThere(err) {
					faults = append(faults, unreadDropIn(path.Join(dir, owner+".d"), err)...)
				}
				continue
			}
			for _, n := range names {
				if _, known := byName[n]; !known && strings.HasSuffix(n, ".conf") {
					byName[n] = path.Join(dir, owner+".d", n)
					order = append(order, n)
				}
			}
		}
	}
	var paths []string
	for _, n := range sortText(order) {
		if info, err := c.host.stat(byName[n]); err == nil && !info.Mode().IsRegular() {
			continue // masked
		}
		paths = append(paths, byName[n])
	}
	return paths, faults
}

// unreadDropIn returns the faults of a drop-in, or of a folder of them, that could not be read: it
// may set or take back everything.
func unreadDropIn(at string, err error) []audit.Fault {
	return []audit.Fault{{Subject: at, Reason: explainError(err)}, {Reason: "the drop-in " + at + " could not be read: " + explainError(err)}}
}

// environmentFiles reads the environment files in order. They count more than Environment=.
func (c *collector) environmentFiles(u *unit) ([]file, []audit.Fault) {
	var files []file
	var faults []audit.Fault
	for _, pattern := range u.environmentFiles {
		pattern, optional := strings.CutPrefix(pattern, "-")
		unread := func(at string, err error) {
			if !optional || !isNotThere(err) {
				faults = append(faults, audit.Fault{Subject: at, Reason: explainError(err)}, audit.Fault{Reason: "the environment file " + at + " could not be read: " + explainError(err)})
			}
		}
		matching, err := c.expandGlob(pattern)
		if err != nil {
			unread(pattern, err)
		}
		for _, at := range matching {
			data, err := c.host.readFile(at, maxFile)
			if err != nil {
				unread(at, err)
				continue
			}
			u.environment = append(u.environment, parseEnvironmentFile(data)...)
			files = append(files, file{at, audit.EnvFile})
		}
	}
	return files, faults
}

// expandGlob expands a pattern in the last part of a path.
func (c *collector) expandGlob(pattern string) ([]string, error) {
	pattern = path.Clean(pattern)
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}, nil
	}
	names, err := c.host.names(path.Dir(pattern), maxNames)
	if err != nil {
		return nil, err
	}
	var matching []string
	for _, name := range names {
		if matches, err := path.Match(path.Base(pattern), name); err == nil && matches {
			matching = append(matching, path.Join(path.Dir(pattern), name))
		}
	}
	return matching, nil
}
