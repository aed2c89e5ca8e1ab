"""What says that an ad sells in the whole of the Netherlands."""

from typing import Final

_COUNTRY: Final = (
    r"(?:nl|nederland|nederlân|netherlands|the netherlands|holland|hollanda|holandia|holandii|holanda|holandę|olanda|"
    r"olandă|pays-bas|niederlande|paesi bassi|голландии|нидерландам|голландия|холандия|هولندا)"
)
_WHOLE: Final = (
    r"(?:heel|hele|hiel|ganz|door|all|all over|whole|entire|all of|across|binnen|through|within|throughout|"
    r"anywhere in|everywhere in|(?:overal|elders|elke plek|elke plaats|elk adres|alle adressen|adressen|"
    r"elke postcode|alle postcodes|elke provincie|alle provincies|iedereen) (?:in|van)|alleen|altijd|overige?|rest|"
    r"(?:de )?rest van|rest of|overige delen van|gehele?|toda|toute?|tutta|cała|całej|całym|całą|tüm|bütün|toată|"
    r"в цялата|цяла|(?:по )?всей|partout (?:en|aux)|dans tout(?:e|s)?(?: la| les)?|in ganz|alle provinzen|"
    r"لكل|كل|f)"
)
_POSTED: Final = (
    r"(?:verzending|verzenden|verzendkosten|verstuurd|versturen|sturen|shipping|ships?|delivery|levertijd|tracked|"
    r"pakketdienst|postpakket|opgestuurd|brievenbus|letters?|lettre suivie|lettre prio|postnl|post|mail|pakket|"
    r"list w|to|naar|nach|pour)"
)
_NAMED: Final = (
    r"(?:belgi\p{L}*|belgique|belgium|duitsland|germany|belçika|bélgica|niemiec|belgii|бельгии|белгия|بلجيكا)"
)
"""A neighbour in words: `de Holanda` is Spanish, no neighbour."""
_NEIGHBOUR: Final = rf"(?:be|de|{_NAMED})"
_AND: Final = r"(?:\s*[,&+/]\s*|\s+(?:(?:en|and|et|und|ve|e|y|i|și|и|&|\+)\s+|و)?)"

NATIONAL: Final = (
    rf"(?i)\b{_WHOLE}\s+(?:the |la |le |les |van |il |l')?{_COUNTRY}(?:\b|$)|"
    rf"\b{_POSTED}(?: in| naar| to| binnen|[,:= ]){{1,2}}\s*{_COUNTRY}(?:\b|$)|"
    rf"\b{_COUNTRY}{_AND}{_NEIGHBOUR}\b|\b{_NAMED}{_AND}{_COUNTRY}(?:\b|$)|"
    rf"\b(?:be|de){_AND}(?:nl|nederland)\b|"
    rf"\b(?:nl|nederland|netherlands) (?:breed|wide|only|free|gratis|dekkend|post|verzending)\b|"
    r"\bverzend\p{L}* €?\d+(?:,\d+)? \(?nl\b|\b(?:heel|hele) 🇳🇱|\bany dutch address|"
    r"\bwaar (?:je|u|jullie) (?:in nederland ook|ook woont in nederland|ook zit in nederland)\b|"
    r"\blandelijke?\b|\blandesweit\b|\b(?:heel|hele|heel het|rest van het)\s+land\b|"
    r"\bdoor het (?:hele |gehele )?land\b|\bnationwide\b|\bcountrywide\b|#heelnederland\b|#heelnl\b|"
    r"\b(?:toda holanda|holanda (?:toda|inteira)|hollanda'?n[ıi]n her yer\p{L}*|hollanda kamla)"
)
"""A regular expression (of Polars) for the canonical text. Mail *from* the Netherlands, or a flag, is no such claim."""
