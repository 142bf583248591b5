package auth

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"estate/internal/problem"
)

// EmailBytesMax is the longest address that SMTP can carry (RFC 5321, section 4.5.3.1.3,
// less the angle brackets).
const EmailBytesMax = 254

// NormaliseEmail gives the one form in which addresses are stored and compared: trimmed,
// NFC, lower-case. It refuses what cannot be an address with invalid_input; whether mail
// arrives there is not its question.
func NormaliseEmail(text string) (string, error) {
	if len(text) > 4*EmailBytesMax || !utf8.ValidString(text) {
		return "", invalidEmail("is too long or not UTF-8")
	}
	// Lower-casing can denormalise, so NFC comes last.
	email := norm.NFC.String(strings.ToLower(norm.NFC.String(strings.TrimSpace(text))))
	if len(email) > EmailBytesMax {
		return "", invalidEmail("is longer than 254 bytes")
	}
	local, domain, found := strings.Cut(email, "@")
	if !found || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", invalidEmail("needs one @ with text on both sides")
	}
	if strings.ContainsFunc(email, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return "", invalidEmail("holds a space or an invisible character")
	}
	return email, nil
}

func invalidEmail(message string) error {
	return problem.Invalid(problem.FieldError{Field: "email", Message: message})
}
