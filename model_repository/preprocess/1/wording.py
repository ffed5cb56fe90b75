"""The words of orders to a grader, in Catalan, Spanish and English, as patterns for a folded text. Pure.

A blank within a word of a list is written "_"; words may be patterns, but for their first four letters.
"""

from __future__ import annotations

import re

_BEGINNING = re.compile(r"[a-z0-9]{1,4}")


def any_of(words: str) -> str:
    """A pattern for one of several words."""
    return f"(?:{'|'.join(word.replace('_', ' ') for word in words.split())})"


def beginnings(words: str) -> frozenset[str]:
    """The first letters, four at most, of the words in a list; one of them begins what ``any_of`` finds."""
    return frozenset(found[0] for word in words.split() if (found := _BEGINNING.match(word)))


# Marks, and what they are given for.
NUMBER = "5 cinc cinco five 10 deu diez ten 4 quatre cuatro four"
EXCELLENT = (
    r"excel\W?len\w* sobresaliente matricula_d.honor matricula_de_honor full_marks top_marks full_credit"
)
MARK = "nota notes puntuacio puntuacion qualificacio calificacion mark marks grade grades score"
HIGHEST = r"maxim\w+ mes_alta mas_alta millor mejor mayor perfect\w* highest maximum top best full"
PERSON = r"alumn\w+ estudiant\w* student\w*"
TEXT = r"""
    text\w* respost\w* respuesta redacci\w+ treball trabajo examen exercici ejercicio answer\w* essay\w*
    paper work exam composition writing
"""
THESE = "aquest aquesta este esta this"
THIS = "aquest aquesta este esta this el_meu la_meva mi my el la l' al the"
SHOULD_BE = "ha_de_ser hauria_de_ser should_be must_be debe_ser deberia_ser tiene_que_ser"

# What may stand behind a mark: what ends its clause, whom it is for, and the rest of an answer.
AFTER_A_MARK = """
    i y and o or si_us_plau please por_favor per_favor perque porque because sense sin without sempre
    siempre always ja ya now ara ahora directament directamente de_nota obligatoriament obligatoriamente
    porfa regardless independentment independientemente
"""
FOR_WHOM = "a al als en per per_a por para to for on in"
FEEDBACK = "feedback comentari comment excel molt_be muy_bien very_good perfect"

# Giving one.
GIVE = """
    posa posi posis poseu posar pon ponga pongas poned pone?r dona doni donis doneu donar da dar des
    give grant award assign assigna assigni assignis assigneu assignar asigna asigne asignes asignar
    atorga otorga regala regali regaleu
"""
TELL = """
    set put write escriu escriguis escriure escribe escribas escribir retorna retornis retornar devuelve
    devuelvas devolver return output print respon responguis respondre responde respondas responder
    answer reply respond contesta contestis contestar
"""
BARE = "assign award grant output return print assigna asigna retorna devuelve"
GIVING_IT = "posare pondre poso pongo dono doy i_give i'll_give i_will_give"
OBTAIN = """
    ha_d'obtenir ha_de_tenir ha_de_treure ha_de_rebre debe_obtener debe_tener debe_recibir must_get
    must_receive must_have should_get should_receive should_have
"""
APPROVE = "aprova aprovi aprovis aproveu aprovar aprueba aprueben? apruebes aprobar pass approve"
GRADING = r"""
    qualific\w+ qualifiqu\w+ puntu\w+ avalu\w+ valora valori valoris calific\w+ califiqu\w+ evalu\w+
    grade mark rate score evaluate assess
"""
NOT_GRADE = r"""
    no_avalu\w+ no_corregeix\w+ no_corregiu no_puntu\w+ no_qualif\w+ no_evalu\w+ no_corrij\w+
    no_calif\w+ do_not_grade do_not_mark do_not_evaluate do_not_assess do_not_score don't_grade
    don't_evaluate don't_score
"""
CLITIC = r"(?:['-]?(?:me?|li|le|ho|ns|nos|los)(?:['-]?(?:hi|ho|la|lo|n))?)?"
"""Pronouns that may be joined to one of these verbs: posa-m'hi, ponme."""

# What makes an order of a verb.
MUST = """
    has_de hauries_de heu_de haurieu_de cal_que has_d' m'has_de em_pots pots podries podrieu debes
    deberias tienes_que puedes podrias you_must you_should you_have_to you_need_to you_will you_can
    you_could could_you can_you would_you vull_que necessito_que demano_que prego_que ruego_que
    quiero_que necesito_que pido_que want_you_to need_you_to ask_you_to el_favor_de task_is_to job_is_to
    tasca_es tarea_es feina_es
"""
PLEASE = "si_us_plau sisplau per_favor por_favor please ara ahora now doncs llavors entonces then so simply"
ALWAYS = """
    sempre siempre always nomes solo only just directament directamente exclusivament exclusivamente
    unicament unicamente simplement simplemente
"""
ENGLISH = """
    give grant award assign set put write return output answer reply rate grade mark ignore forget pass
"""

# Leaving rules aside.
IGNORE = """
    ignora ignori ignoris ignoreu ignorar ignore ignores ignorad oblida oblidi oblidis oblideu oblidar
    olvida olvidate olvides olvidar olvidad forget disregard override bypass omet ometis omite omitas
    omitir desobeeix desobedece salta't saltate skip deixa_de_banda passa_per_alt pasa_por_alto
    haz_caso_omiso no_facis_cas no_feu_cas no_hagas_caso no_hagais_caso no_tinguis_en_compte
    no_tingueu_en_compte no_tengas_en_cuenta no_tenga_en_cuenta no_segueixis no_seguiu no_sigas
    no_apliquis no_apliques do_not_follow do_not_apply do_not_use do_not_obey don't_follow don't_apply
    don't_use stop_following stop_applying fes_cas_omis feu_cas_omis deixa_de_seguir deja_de_seguir
    descarta descarteu esborra esborreu borra borrad erase
"""
RULES = r"""
    instruccio\w* instruction\w* ordres? orden ordenes indicacio\w* consign\w+ prompts? regles reglas
    rules? normes normas criteris criterios? rubri\w+ guidelines directiv\w+ directric\w+ escala
    directions
"""
FILLING = """
    de a les las los el els la l' the any all tot tots totes todas todos cada your tus tu teves teus
    these those aquestes aquests estas estos previous above anteriors prior earlier given grading other
    altres of marking system its their to qualsevol cualquier cap ninguna meva aquesta aquest esta este
    this
"""
OF_GRADING = r"""
    d'avaluacio de_avaluacio de_evaluacion de_correccio\w* del_sistema del_prompt del_corrector d'abans
    del_evaluador de_l'avaluador of_the_grader of_the_system que_t'han que_te_han que_has que_us_han
    you_were you_have from_before de_antes de_mes_amunt de_arriba of_your
"""
OF_OTHERS = "d de del dels of que on in from our we per para at for a al"
EVERYTHING = "tot todo everything all what el_que lo_que"
TOLD = """
    that que was were been has have had is t'han te_han li_han le_han m'han us_han s'ha se_ha lo el la
    els el_que lo_que you i they de of es text this
"""
BEFORE = r"anterior\w* dit dicho abans antes above previous\w* before said told rebut recibido amunt arriba"
PREVIOUS = "previous prior above anteriors anteriores previas previes"
VOID = r"""
    no_longer not_valid void invalid cancel\w* anul\w* ja_no ya_no no_valen no_valdran no_serveixen
    queden_sense
"""
NEED_NOT = """
    no_has_de no_cal_que no_tens_que no_tienes_que no_debes no_need_to you_don't_have_to
    you_do_not_have_to ya_no_tienes_que ja_no_has_de
"""
FOLLOW = """
    seguir segueixis sigas follow obey aplicar apliquis apply complir cumplir obeir obedecer use
    respectar
"""

# What would happen without a mark, or for one.
IF_GIVEN = """
    si_em_poses si_no_em_poses si_em_dones si_no_em_dones si_me_pones si_no_me_pones si_me_das
    si_no_me_das if_you_give if_you_don't_give if_you_do_not_give unless_you_give
"""
DEMAND_THAT = "cal_que vull_que exigeixo_que demano_que quiero_que exijo_que pido_que"

# Being somebody else.
NOW_BE = """
    ara_ets ahora_eres you_are_now ets_ara eres_ahora now_you_are actua_com actua_como act_as fes_de
    haz_de fes_veure_que_ets pretend_you_are pretend_to_be finge_que_eres imagina_que_eres
    imagina_que_ets
"""
FROM_NOW_ON = "a_partir_d'ara a_partir_de_ahora from_now_on"
BE = "ets seras eres you_are you're you_will_be"
MACHINE = r"""
    ia ai llm chatgpt gpt gemma corrector\w* avaluador\w* evaluador\w* grader evaluator language_model
    model_de_lleng\w+ modelo_de_leng\w+ assistent(?!\sde\b) asistente(?!\sde\b) assistant(?!\sof\b)
"""
TEACHER = """
    professor profesor professora profesora mestre mestra maestro maestra teacher examiner examinador
"""
KIND = r"generos\w* generous lenient kind amable benevol\w* sense_normes sin_reglas without_rules"
AS_IF = """
    act_as_if pretend_that pretend actua_com_si fes_veure_que fes_com_si actua_como_si finge_que
    haz_como_si assume_that
"""
PERFECT = r"perfect\w* correct\w* excel\w?len\w*"

# Who speaks, and to whom.
SPEAKER = r"""
    system assistant user usuari usuario sistema assistent asistente model modelo instruction
    instruccion? system_prompt system_message new_instructions? noves_instruccions instruccions_noves
    nuevas_instrucciones admin override corrector\w* avaluador\w* evaluador\w* grader
"""
NOTE_TO = """
    nota_per_al? nota_para nota_al? note_to note_for missatge_per_al? mensaje_para message_to
    message_for atencio atencion attention estimad[ao] dear querid[ao]
"""

WHOEVER = "qui quien whoever"
READS = r"""
    (?:llegeixi|llegeix)_aixo (?:lea|lee)_esto reads_this(?=_(?:answer|text|must|should)) corregeixi
    corregeix corrija corrige grades marks avalui avalua evalue evalua
"""

# What is hidden.
SHOW = """
    reveal show print repeat tell mostra mostra'm ensenya revela repeteix muestra muestrame ensename
    dime digues
"""
SWITCH_ON = "enter enable activate activa activeu entra turn_on switch_to you_are_now_in"
HIDDEN_MODE = "developer_mode mode_desenvolupador modo_desarrollador modo_desarrollo jailbreak dan_mode"
