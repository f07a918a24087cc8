package collect

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/audit"
)

func TestParseAddress(t *testing.T) {
	for written, want := range map[string]string{
		"10.0.0.11:2379":               "10.0.0.11:2379",
		"http://10.0.0.11:2379":        "10.0.0.11:2379",
		"https://etcd-0.example:2379/": "etcd-0.example:2379",
		"[::1]:2379":                   "[::1]:2379",
		"https://[2001:db8::1]:2379":   "[2001:db8::1]:2379",
		"ETCD-0.Example:02379":         "etcd-0.example:2379",
	} {
		if got, err := ParseAddress(written); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", written, got, err, want)
		}
	}
	for _, written := range []string{
		"", "10.0.0.11", "10.0.0.11:", ":2379", "10.0.0.11:0", "10.0.0.11:65536", "10.0.0.11:http", "::1:2379",
		"unix:///run/etcd.sock", "ftp://10.0.0.11:21", "https://10.0.0.11", "https://u:p@10.0.0.11:2379",
		"https://10.0.0.11:2379/v3", "https://10.0.0.11:2379?x=y", "a:2379,b:2379", "a b:2379", "a:2379 ", "-x\n:2379",
	} {
		got, err := ParseAddress(written)
		if err == nil {
			t.Errorf("%q: accepted as %q", written, got)
		} else if written != "" && !strings.Contains(err.Error(), "endpoint ") {
			t.Errorf("%q: %v", written, err)
		}
	}
}

// A link-local address is of an interface.
func TestParseLinkLocal(t *testing.T) {
	for written, want := range map[string]string{
		"[fe80::1%lo]:2379": "[fe80::1%lo]:2379", "[FE80::1%Eth0.7]:2379": "[fe80::1%Eth0.7]:2379", "https://[fe80::1%25eth0]:2379/": "[fe80::1%eth0]:2379", "http://[fe80::1%25lo]:1": "[fe80::1%lo]:1",
		"[fe80::1%25lo]:2379": "[fe80::1%25lo]:2379",
		"[::1%lo]:2379":       "", "[fe80::1%]:2379": "", "[fe80::1%a b]:2379": "", "[fe80::1%$(id)]:2379": "", "[fe80::1%-x]:2379": "", "169.254.1.1%lo:2379": "", "a%lo:2379": "", "[::ffff:169.254.0.1%lo]:2379": "",
	} {
		if got, err := ParseAddress(written); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", written, got, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"10.0.0.11:2379", "https://[::1]:2379/", "http://h:1", "h:99999", "://", "[::1%eth0]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		address, err := ParseAddress(written)
		if err != nil {
			return
		}
		// What is accepted is in its last form, so that the same endpoint is found twice.
		if again, err := ParseAddress(address); err != nil || again != address {
			t.Errorf("%q gives %q, which gives %q, %v", written, address, again, err)
		}
	})
}

// The request is the one that etcd's own client would send: 12 bytes.
func TestRangeRequest(t *testing.T) {
	want := []byte{0x0a, 1, 0, 0x12, 1, 0, 0x18, 1, 0x38, 1, 0x40, 1}
	if got := request(audit.RangeRPC).Message; !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	for _, method := range []string{audit.StatusRPC, audit.MemberListRPC} {
		if got := request(method).Message; len(got) != 0 {
			t.Errorf("%s: got %x", method, got)
		}
	}
}

// aMemberList is the message of a member with a field of every type before it.
func aMemberList() []byte {
	var member []byte
	member = protowire.AppendTag(member, 1, protowire.VarintType)
	member = protowire.AppendVarint(member, 42)
	for number, text := range []string{2: "etcd-0", 3: "https://192.0.2.1:2380", 4: "https://192.0.2.1:2379"} {
		if text != "" {
			member = protowire.AppendTag(member, protowire.Number(number), protowire.BytesType)
			member = protowire.AppendString(member, text)
		}
	}
	var list []byte
	list = protowire.AppendTag(list, 15, protowire.Fixed64Type)
	list = protowire.AppendFixed64(list, 1)
	list = protowire.AppendTag(list, 2, protowire.BytesType)
	return protowire.AppendBytes(list, member)
}

func TestMemberList(t *testing.T) {
	members, err := readMembers(aMemberList())
	if err != nil || len(members) != 1 {
		t.Fatalf("got %v, %v", members, err)
	}
	m := members[0]
	if m.Name != "etcd-0" || m.PeerURLs[0] != "https://192.0.2.1:2380" || m.ClientURLs[0] != "https://192.0.2.1:2379" {
		t.Errorf("got %+v", m)
	}
	if _, err := readMembers(bytes.Repeat([]byte{0x12, 0}, maxMembers+1)); err == nil {
		t.Error("101 members are accepted")
	}
}

func TestAlarms(t *testing.T) {
	for name, c := range map[string]struct {
		errors []string
		want   []audit.Alarm
	}{
		"none":                 {},
		"no leader":            {errors: []string{"etcdserver: no leader"}},
		"both, of two members": {[]string{"memberID:1 alarm:NOSPACE ", "memberID:2 alarm:NOSPACE ", "memberID:1 alarm:CORRUPT "}, []audit.Alarm{audit.NoSpace, audit.Corrupt}},
		"one that is new":      {[]string{"memberID:1 alarm:FIRE "}, []audit.Alarm{audit.UnknownAlarm}},
	} {
		var message []byte
		for _, text := range c.errors {
			message = protowire.AppendString(protowire.AppendTag(message, 8, protowire.BytesType), text)
		}
		s, err := readStatus(message)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Alarms, c.want) {
			t.Errorf("%s: got %q", name, s.Alarms)
		}
	}
}

func FuzzMessages(f *testing.F) {
	seeds := [][]byte{aMemberList(), request(audit.RangeRPC).Message, {0x12, 5, '3', '.', '6', '.', '1'}, {0x20, 0xff, 0xff, 0xff, 0xff, 0x0f}, {0x12, 0x7f}, nil}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if count, err := rangeCount(message); err == nil && count < 0 {
			t.Errorf("%d keys", count)
		}
		if s, err := readStatus(message); err == nil {
			checkClean(t, s.Version)
			if s.DBSize < 0 || s.DBSizeInUse < 0 || s.DBSizeQuota < 0 || len(s.Alarms) > 3 {
				t.Errorf("%+v", s)
			}
		}
		responseHeader(message)
		members, err := readMembers(message)
		if err != nil {
			return
		}
		if len(members) > maxMembers {
			t.Errorf("%d members", len(members))
		}
		for _, m := range members {
			checkClean(t, m.Name)
		}
	})
}

func checkClean(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxText+1 || strings.ContainsAny(s, "\x00\x1b\n\r\u009b") {
		t.Errorf("%q is not fit for a terminal", s)
	}
}

func TestServerVersion(t *testing.T) {
	for body, want := range map[string]string{
		`{"etcdserver":"3.6.16","etcdcluster":"3.6.0"}`: "3.6.16",
		`{"etcdserver":"\u001b[31m"}`:                   "?[31m",
		`{}`:                                            "",
		`<html>`:                                        "",
		``:                                              "",
	} {
		if got := serverVersion([]byte(body)); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

func TestIsSettings(t *testing.T) {
	for name, c := range map[string]struct {
		header [frameHeaderSize]byte
		want   bool
	}{
		"of net/http": {[frameHeaderSize]byte{0, 0, 0x1e, 4}, true},
		"empty":       {[frameHeaderSize]byte{0, 0, 0, 4}, true},
		"an ACK":      {[frameHeaderSize]byte{0, 0, 0, 4, 1}, false},
		"a stream's":  {[frameHeaderSize]byte{0, 0, 6, 4, 0, 0, 0, 0, 1}, false},
		"odd":         {[frameHeaderSize]byte{0, 0, 7, 4}, false},
		"huge":        {[frameHeaderSize]byte{0x60, 0, 0, 4}, false},
		"GOAWAY":      {[frameHeaderSize]byte{0, 0, 8, 7}, false},
		"HTTP/1.1":    {[frameHeaderSize]byte([]byte("HTTP/1.1 ")), false},
	} {
		if got := isSettings(c.header); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
