"""What people call flags: the Italian flag, the flag of the USA. The memory says `flag of Italy` as
Unicode's CLDR does."""

import re

# A name of the memory: what is said before `flag`; what is said there and after `flag of`.
_SAID = """
Afghanistan: Afghan
Albania: Albanian
Algeria: Algerian
American Samoa: American Samoan
Andorra: Andorran
Angola: Angolan
Anguilla: Anguillan
Antigua & Barbuda: Antiguan; Antigua and Barbuda, Antigua
Argentina: Argentine, Argentinian
Armenia: Armenian
Aruba: Aruban
Australia: Australian, Aussie
Austria: Austrian
Azerbaijan: Azerbaijani, Azeri
Bahamas: Bahamian
Bahrain: Bahraini
Bangladesh: Bangladeshi
Barbados: Barbadian
Belarus: Belarusian
Belgium: Belgian
Belize: Belizean
Benin: Beninese
Bermuda: Bermudian
Bhutan: Bhutanese
Bolivia: Bolivian
Bosnia & Herzegovina: Bosnian; Bosnia and Herzegovina, Bosnia
Botswana: Botswanan
Brazil: Brazilian
Brunei: Bruneian
Bulgaria: Bulgarian
Burkina Faso: Burkinabe
Burundi: Burundian
Cambodia: Cambodian
Cameroon: Cameroonian
Canada: Canadian
Cape Verde: Cape Verdean; Cabo Verde
Cayman Islands: Caymanian
Central African Republic: Central African
Chad: Chadian
Chile: Chilean
China: Chinese; People's Republic of China, PRC
Colombia: Colombian
Comoros: Comorian
Congo - Brazzaville: Congolese; Congo
Congo - Kinshasa: -; Democratic Republic of the Congo, Democratic Republic of Congo, DR Congo, DRC
Costa Rica: Costa Rican
Croatia: Croatian
Cuba: Cuban
Cyprus: Cypriot
Czechia: Czech; Czech Republic
Côte d’Ivoire: Ivorian; Côte d'Ivoire, Cote d'Ivoire, Ivory Coast
Denmark: Danish
Djibouti: Djiboutian
Dominican Republic: Dominican
Ecuador: Ecuadorian, Ecuadorean
Egypt: Egyptian
El Salvador: Salvadoran, Salvadorian
England: English
Equatorial Guinea: Equatorial Guinean
Eritrea: Eritrean
Estonia: Estonian
Eswatini: Swazi; Swaziland
Ethiopia: Ethiopian
European Union: European; EU, E.U., Europe
Faroe Islands: Faroese
Fiji: Fijian
Finland: Finnish
France: French
French Polynesia: French Polynesian, Tahitian; Tahiti
Gabon: Gabonese
Gambia: Gambian
Georgia: Georgian
Germany: German
Ghana: Ghanaian
Gibraltar: Gibraltarian
Greece: Greek
Greenland: Greenlandic
Grenada: Grenadian
Guam: Guamanian
Guatemala: Guatemalan
Guinea: Guinean
Guinea-Bissau: Bissau-Guinean
Guyana: Guyanese
Haiti: Haitian
Honduras: Honduran
Hong Kong SAR China: -; Hong Kong
Hungary: Hungarian
Iceland: Icelandic
India: Indian
Indonesia: Indonesian
Iran: Iranian, Persian
Iraq: Iraqi
Ireland: Irish
Isle of Man: Manx
Israel: Israeli
Italy: Italian
Jamaica: Jamaican
Japan: Japanese
Jordan: Jordanian
Kazakhstan: Kazakh, Kazakhstani
Kenya: Kenyan
Kosovo: Kosovar, Kosovan
Kuwait: Kuwaiti
Kyrgyzstan: Kyrgyz
Laos: Lao, Laotian
Latvia: Latvian
Lebanon: Lebanese
Lesotho: Basotho
Liberia: Liberian
Libya: Libyan
Lithuania: Lithuanian
Luxembourg: Luxembourgish
Macao SAR China: Macanese; Macao, Macau
Madagascar: Malagasy
Malawi: Malawian
Malaysia: Malaysian
Maldives: Maldivian
Mali: Malian
Malta: Maltese
Marshall Islands: Marshallese
Mauritania: Mauritanian
Mauritius: Mauritian
Mexico: Mexican
Micronesia: Micronesian
Moldova: Moldovan
Monaco: Monégasque, Monegasque
Mongolia: Mongolian
Montenegro: Montenegrin
Morocco: Moroccan
Mozambique: Mozambican
Myanmar (Burma): Burmese; Myanmar, Burma
Namibia: Namibian
Nauru: Nauruan
Nepal: Nepalese, Nepali
Netherlands: Dutch; Holland
New Zealand: Kiwi
Nicaragua: Nicaraguan
Niger: Nigerien
Nigeria: Nigerian
North Korea: North Korean; DPRK
North Macedonia: North Macedonian, Macedonian; Macedonia
Norway: Norwegian
Oman: Omani
Pakistan: Pakistani
Palau: Palauan
Palestinian Territories: Palestinian; Palestine
Panama: Panamanian
Papua New Guinea: Papua New Guinean
Paraguay: Paraguayan
Peru: Peruvian
Philippines: Philippine, Filipino
Poland: Polish
Portugal: Portuguese
Puerto Rico: Puerto Rican
Qatar: Qatari
Romania: Romanian
Russia: Russian; Russian Federation
Rwanda: Rwandan
Samoa: Samoan
San Marino: Sammarinese
Saudi Arabia: Saudi Arabian, Saudi
Scotland: Scottish
Senegal: Senegalese
Serbia: Serbian
Seychelles: Seychellois
Sierra Leone: Sierra Leonean
Singapore: Singaporean
Slovakia: Slovak, Slovakian
Slovenia: Slovene, Slovenian
Somalia: Somali
South Africa: South African
South Korea: South Korean, Korean; Korea
South Sudan: South Sudanese
Spain: Spanish
Sri Lanka: Sri Lankan
St. Kitts & Nevis: -; St. Kitts and Nevis, Saint Kitts and Nevis
St. Lucia: Saint Lucian, St. Lucian; Saint Lucia
St. Vincent & Grenadines: -; Saint Vincent and the Grenadines, St. Vincent and the Grenadines
Sudan: Sudanese
Suriname: Surinamese
Sweden: Swedish
Switzerland: Swiss
Syria: Syrian
São Tomé & Príncipe: -; São Tomé and Príncipe, Sao Tome and Principe
Taiwan: Taiwanese
Tajikistan: Tajik
Tanzania: Tanzanian
Thailand: Thai
Timor-Leste: Timorese; East Timor
Togo: Togolese
Tonga: Tongan
Trinidad & Tobago: Trinidadian; Trinidad and Tobago, Trinidad
Tunisia: Tunisian
Turkey: Turkish; Türkiye
Turkmenistan: Turkmen
Tuvalu: Tuvaluan
Uganda: Ugandan
Ukraine: Ukrainian
United Arab Emirates: Emirati; UAE, U.A.E.
United Kingdom: British; UK, U.K., Great Britain, Britain
United Nations: -; UN, U.N.
United States: American; United States of America, USA, U.S.A., US, U.S., America
Uruguay: Uruguayan
Uzbekistan: Uzbek
Vanuatu: Ni-Vanuatu
Vatican City: -; Vatican, Holy See
Venezuela: Venezuelan
Vietnam: Vietnamese
Wales: Welsh
Yemen: Yemeni
Zambia: Zambian
Zimbabwe: Zimbabwean
"""
# By name: the adjectives, and other names.
NATIONS = {
    name: tuple(kind.split(", ") if kind.strip("-") else [] for kind in said.partition("; ")[::2])
    for name, said in (line.split(": ") for line in _SAID.strip().splitlines())
}
# A Northern Irish flag is none of Ireland, nor the flag of the U.S. Virgin Islands one of the U.S.
_MORE = "north|northern|south|new|american|equatorial|dr|sar|of the|republic of"
_NOT_AFTER = "".join(f"(?<!{words} )" for words in _MORE.split("|"))
_NOT_BEFORE = r"(?!\.?(?:[\w-]| -| virgin))"


def flags() -> dict[str, str]:
    """What is read for a flag, by a regular expression of how people say it."""
    read = {"(?i:(?:gay )?pride flag)": "rainbow flag"}
    for name, (adjectives, names) in NATIONS.items():
        before, after = _any(name, *names, *adjectives), _any(name, *names)
        asked = rf"(?<![\w-]){_NOT_AFTER}{before} flag(s?)\b"
        read[rf"(?i:{asked}|\bflag(s?) of (?:the )?{after}{_NOT_BEFORE})"] = rf"flag\1\2 of {name}"
    return read | {r"\ban? (?=flag of )": "the "}


def _any(*said: str) -> str:
    """Of these the longest that is there."""
    some = sorted(said, key=lambda one: (-len(one), one))
    return f"(?:{'|'.join(map(_plain, some))})"


def _plain(said: str) -> str:
    """Its full stop may have ended the sentence."""
    return re.sub(r"([()])", r"\\\1", said).replace(".", r"\.?")
