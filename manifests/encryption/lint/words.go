package lint

import (
	_ "embed" // the words
	"encoding/base64"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"sync"
)

// savedBits is how much shorter the code of a text must be than that of a random one for the text
// to be called typed. Random text saves so much once in 2^16: a code that is as good for all
// texts together as the uniform one cannot be better for more of them (Kraft's inequality).
const savedBits = 16

// typedBits returns how many bits of choice are in a text that a person made of words, names,
// years, runs or repeats, as someone who guesses would try them; ok is false for a text that looks
// random. Text that is base64 or hexadecimal of text counts as what it encodes.
func typedBits(text []byte) (bits int, ok bool) {
	if inner := decodedText(text); inner != nil {
		if bits, ok = typedBits(inner); ok {
			return bits, true
		}
	}
	model := min(codeLength(text), substitutedLength(text)) + 1 // which of the two is one more bit
	if uniform := uniformBits(text); uniform == 0 || uniform-model < savedBits {
		return 0, false
	}
	return int(model), true
}

// decodedText returns the printable text that a text encodes; nil if it encodes none.
func decodedText(text []byte) []byte {
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if inner, err := decode(strings.TrimSpace(string(text))); err == nil && len(inner) > 0 && uniformBits(inner) > 0 {
			return inner
		}
	}
	return nil
}

// substitutions lists what people write for letters.
const (
	substitutes = "013457@$!"
	substituted = "oieastasi"
)

// substitutedLength is codeLength of the text whose digits and signs that stand for letters are
// put back, and of where that was done.
func substitutedLength(text []byte) float64 {
	letters := slices.Clone(text)
	length := 0.0
	for i, c := range letters {
		if at := strings.IndexByte(substitutes, c); at >= 0 {
			letters[i] = substituted[at]
			length += 2 // a quarter of such letters, and some have two substitutes
			if c == '@' || c == '$' || c == '!' {
				length++
			}
		} else if strings.IndexByte(substituted, lowered(c)) >= 0 {
			length += math.Log2(4.0 / 3)
		}
	}
	return length + codeLength(letters)
}

// class tells letters, digits, blanks and signs apart.
type class int

const (
	lower class = iota
	upper
	digit
	space
	sign
	beginning
	classes // how many there are
)

func classOf(c byte) class {
	switch {
	case 'a' <= c && c <= 'z':
		return lower
	case 'A' <= c && c <= 'Z':
		return upper
	case '0' <= c && c <= '9':
		return digit
	case c == ' ':
		return space
	}
	return sign
}

// sizes returns how many characters a class has, by class. The signs are the printable ones of ASCII, and the newline.
func sizes() [beginning]float64 { return [beginning]float64{26, 26, 10, 1, 33} }

// habits are the chances in a typed text that a class follows another, or begins the text.
func habits() [classes][beginning]float64 {
	return [classes][beginning]float64{
		lower:     {.80, .05, .05, .06, .04},
		upper:     {.50, .36, .06, .03, .05},
		digit:     {.12, .08, .70, .04, .06},
		space:     {.60, .22, .12, .02, .04},
		sign:      {.40, .20, .22, .08, .10},
		beginning: {.45, .30, .15, .02, .08},
	}
}

// commonWords are words that people make passwords of, and the most common ones of documentation.
//
//go:embed words.txt
var commonWords string

// wordSet returns the words, which have at most longestWord letters.
var wordSet = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(commonWords) {
		set[word] = true
	}
	return set
})

const longestWord = 14

// codeLength returns the length in bits of a text in the code of typed text: the sum of the
// negative logarithms of the chances of each word, or each character, after those before it.
func codeLength(text []byte) float64 {
	const aWord, lowerWord, titleWord, upperWord = .12, .6, .3, .1 // the chances of a word, and of how it is written
	words, characters := wordSet(), characterLengths(text)
	shortest := make([]float64, len(text)+1) // of the text up to there
	for end := 1; end <= len(text); end++ {
		shortest[end] = shortest[end-1] + characters[end-1] - math.Log2(1-aWord)
		for start := max(0, end-longestWord); start < end-1; start++ {
			word := string(text[start:end])
			small := strings.ToLower(word)
			if !words[small] {
				continue
			}
			p := aWord / float64(len(words))
			switch word {
			case small:
				p *= lowerWord
			case strings.ToUpper(word):
				p *= upperWord
			case strings.ToUpper(word[:1]) + small[1:]:
				p *= titleWord
			default:
				continue
			}
			shortest[end] = min(shortest[end], shortest[start]-math.Log2(p))
		}
	}
	return shortest[len(text)]
}

// characterLengths returns the lengths in bits of the characters, each after those before it.
func characterLengths(text []byte) []float64 {
	const weight = 2 // of the habits of people, in characters of this text
	following, size := habits(), sizes()
	for before := range following {
		for after := range following[before] {
			following[before][after] *= weight
		}
	}
	lengths, before := make([]float64, len(text)), beginning
	for i, c := range text {
		is, total := classOf(c), 0.0
		for _, count := range following[before] {
			total += count
		}
		p := following[before][is] / total
		if i > 0 && is <= upper && before <= upper {
			p *= pairChance(lowered(text[i-1]), lowered(c))
		} else {
			p /= size[is]
		}
		if expected, ok := expectedAfter(text[:i]); ok {
			p /= 2
			if c == expected {
				p += .5
			}
		}
		following[before][is]++
		lengths[i], before = -math.Log2(p), is
	}
	return lengths
}

func lowered(c byte) byte {
	if classOf(c) == upper {
		return c + 'a' - 'A'
	}
	return c
}

// expectedAfter returns the character that goes on with a repeat, or with a run along the alphabet, the digits or a row of keys.
func expectedAfter(text []byte) (byte, bool) {
	const context = 3
	if len(text) > context {
		if at := strings.LastIndex(string(text[:len(text)-1]), string(text[len(text)-context:])); at >= 0 {
			return text[at+context], true
		}
	}
	if len(text) < 2 {
		return 0, false
	}
	last, before := text[len(text)-1], text[len(text)-2]
	if last == before {
		return last, true
	}
	for _, run := range []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "QWERTYUIOP", "ASDFGHJKL", "ZXCVBNM", "!@#$%^&*()"} {
		if at := strings.Index(run, string([]byte{before, last})); at >= 0 && at+2 < len(run) {
			return run[at+2], true
		}
		if at := strings.Index(run, string([]byte{last, before})); at > 0 {
			return run[at-1], true
		}
	}
	return 0, false
}

// pairChance returns the chance of a letter after another in words, or in words without blanks.
func pairChance(before, letter byte) float64 {
	row := pairs[before-'a']
	var total float64
	for i := range len(row) {
		total += math.Exp2(float64(row[i] - '0'))
	}
	return math.Exp2(float64(row[letter-'a']-'0')) / total
}

// pairs has for each letter how often the others follow it, as logarithms to the base 2; 9 is most
// often. They were counted in 1.7 million words of English documentation and licences.
var pairs = [26]string{
	"37883572715979271989654452", // after a
	"85659443862954850775833371",
	"84648458708753953768643140",
	"76779655833765762786755352",
	"85887665623778575998566741",
	"74667844901744851766723050",
	"76769667833667863887745233",
	"83549443802454850657523041",
	"65766660203769750678160405",
	"83459412503455753484833000",
	"75659564812556562685635231",
	"84579543923844851576644171",
	"96559433804574782475633130",
	"85888694725656762589665152",
	"56775653625779670977766320",
	"94659556715854971978744160",
	"21232111300322120443902000",
	"84669553815566751677654160",
	"76869667835666773689746262",
	"85659558913655762887635361",
	"77768661701879570888211402",
	"72429321700232530242322000",
	"95659558913657861875436210",
	"75758645813565591669444652",
	"77877766834778793898656344",
	"61339222600333530332202044", // after z
}
