"""What says that an ad sells in the whole of the Netherlands."""

from typing import Final

_COUNTRY: Final = (
    r"(?:nl|nederland|nederlân|netherlands|the netherlands|holland|hollanda|holandii|holanda|holandę|olanda|olandă|"
    r"pays-bas|niederlande|paesi bassi|голландии|нидерландам|голландия|холандия|هولندا)"
)
_WHOLE: Final = (
    r"(?:heel|hele|hiel|ganz|door|all|all over|whole|entire|all of|across|binnen|through|within|throughout|"
    r"anywhere in|everywhere in|(?:overal|elders|elke plek|elke plaats|alle adressen|adressen|alle postcodes|"
    r"elke provincie|alle provincies) (?:in|van)|alleen|altijd|overige?|rest|(?:de )?rest van|"
    r"rest of|overige delen van|gehele?|toda|toute?|tutta|całej|całym|całą|tüm|bütün|toată|в цялата|(?:по )?всей|"
    r"partout (?:en|aux)|dans tout(?:e|s)?(?: la| les)?|in ganz|alle provinzen|لكل|كل|f)"
)
_POSTED: Final = (
    r"(?:verzending|verzenden|verzendkosten|verstuurd|versturen|sturen|shipping|ships?|delivery|levertijd|tracked|"
    r"pakketdienst|brievenbus|letters?|lettre suivie|lettre prio|postnl|post|mail|pakket|list w|to|naar|nach|pour)"
)
_NEIGHBOUR: Final = (
    r"(?:be|de|belgi\p{L}*|belgique|belgium|duitsland|germany|belçika|bélgica|niemiec|belgii|бельгии|белгия|بلجيكا)"
)
_AND: Final = r"(?:\s*[,&+/]\s*|\s+(?:(?:en|and|et|und|ve|e|y|i|și|и|&|\+)\s+|و)?)"

NATIONAL: Final = (
    rf"(?i)\b{_WHOLE}\s+(?:the |la |le |les |van |il |l')?{_COUNTRY}(?:\b|$)|"
    rf"\b{_POSTED}(?: in| naar| to| binnen|[,:= ]){{1,2}}\s*{_COUNTRY}(?:\b|$)|"
    rf"\b{_COUNTRY}{_AND}{_NEIGHBOUR}\b|\b{_NEIGHBOUR}{_AND}{_COUNTRY}(?:\b|$)|"
    rf"\b(?:nl|nederland) (?:breed|wide|only|free|gratis|dekkend|post|verzending)\b|"
    r"\blandelijke?\b|\bhe(?:le|el(?: het)?)\s+land\b|"
    r"\bdoor het (?:hele |gehele )?land\b|\bnationwide\b|\bcountrywide\b|#heelnederland\b|#heelnl\b|"
    r"\b(?:toda holanda|holanda (?:toda|inteira)|hollanda'?n[ıi]n her yer\p{L}*|hollanda kamla)"
)
"""A regular expression (of Polars) for the canonical text. Mail *from* the Netherlands, or a flag, is no such claim."""
